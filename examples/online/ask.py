"""One applicant asked for by a program of the bank's own, by REST or gRPC: the decision, and the reasons of both companies.

By REST it needs nothing but Python; by gRPC also grpcio, protobuf, and what protoc makes of protos/common/wire/scoring.proto.
"""

from __future__ import annotations

import argparse
import http.client
import json
import ssl
import sys
import time
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

TRIES = 6
LONGEST = 60.0  # seconds to wait for, when told to: a row that ended sessions is put off by up to a day
PAUSE = 1.0  # seconds, where the bank's service names none
PATIENCE = 20.0  # seconds for an answer: more than wait_seconds of [online]


class Later(Exception):
    """Not answered: ask again by the same key. seconds: from when on."""

    def __init__(self, why: str, seconds: str | None = None) -> None:
        super().__init__(why)
        self.seconds = float(seconds or PAUSE)


class Wrong(Exception):
    """The same request would be refused again. problem: as RFC 9457 has it."""

    def __init__(self, problem: dict[str, Any]) -> None:
        detail, remedy = problem["detail"], problem.get("remedy", "")
        super().__init__(f"{problem.get('field') or 'request'}: {detail}. {remedy}".strip())


def by_rest(args: argparse.Namespace, key: str) -> dict[str, Any]:
    """The answer about one enterprise. Raises Later, Wrong."""
    context = ssl.create_default_context(cafile=args.trust)
    context.load_cert_chain(args.certificate, args.key)
    host, port = args.address.rsplit(":", 1)
    line = http.client.HTTPSConnection(host, int(port), context=context, timeout=PATIENCE)
    headers = {"Content-Type": "application/json", "Idempotency-Key": key}
    try:
        line.request("POST", "/v1/score", json.dumps({"id": args.id}), headers)
        reply = line.getresponse()
        status, found = reply.status, json.loads(reply.read())
    except ssl.SSLCertVerificationError:
        raise  # no matter of time
    except (OSError, http.client.HTTPException, ValueError) as error:  # the last: a crowd is refused in plain words
        raise Later(f"{args.address}: {error}") from None
    finally:
        line.close()
    if status == 503:
        raise Later(found["detail"], reply.headers["Retry-After"])
    if status != 200:
        raise Wrong(found)
    answer: dict[str, Any] = found
    return answer


def by_grpc(args: argparse.Namespace, key: str) -> dict[str, Any]:
    """The same by gRPC, in the same form."""
    import grpc
    from google.protobuf.json_format import MessageToDict

    from common.wire import scoring_pb2 as wire

    files = [Path(name).read_bytes() for name in (args.trust, args.key, args.certificate)]
    # no proxy of the environment's: the service is on the bank's own network
    with grpc.secure_channel(args.address, grpc.ssl_channel_credentials(*files), [("grpc.enable_http_proxy", 0)]) as channel:
        ask = channel.unary_unary(
            "/wattscore.online.v1.Scoring/Score",
            request_serializer=wire.ScoreRequest.SerializeToString,
            response_deserializer=wire.ScoreReply.FromString,
        )
        request = wire.ScoreRequest(rows=[wire.Row(id=args.id)])
        try:
            reply = ask(request, metadata=[("idempotency-key", key)], timeout=PATIENCE)
        except grpc.RpcError as error:
            trailing = dict(error.trailing_metadata() or ())
            code = grpc.StatusCode
            if error.code() in (code.UNAVAILABLE, code.DEADLINE_EXCEEDED, code.RESOURCE_EXHAUSTED):  # the last: a crowd asks
                raise Later(error.details(), trailing.get("retry-after")) from None
            raise Wrong(json.loads(trailing.get("wattscore-problem-bin", b"null")) or {"detail": error.details()}) from None
    answer = MessageToDict(reply, preserving_proto_field_name=True)
    for result in answer["results"]:
        result["grid_reasons"] = result["grid_reasons"].get("texts", []) if "grid_reasons" in result else None
    return answer


def ask(args: argparse.Namespace) -> dict[str, Any]:
    """The answer, asked for until there is one, at most TRIES times by one key: it is charged once. Raises Later, Wrong."""
    key = args.again or str(uuid.uuid4())
    for left in reversed(range(TRIES)):
        try:
            return (by_grpc if args.grpc else by_rest)(args, key)
        except Later as error:
            if not left or error.seconds > LONGEST:
                raise
            time.sleep(error.seconds)
    raise AssertionError


def said(answer: dict[str, Any]) -> str:
    """The answer for people, some lines."""
    (result,) = answer["results"]
    if why := result.get("refused"):
        return f"{result['id']} was not scored: {why}"
    lines = [f"{result['id']}: {result['decision']}, grade {result['grade']}, {result['score']:.0f} points"]
    lines += [f"  bank: {text}" for text in result.get("reasons") or ()]
    lines += [f"  grid: {text}" for text in result["grid_reasons"] or ()]
    if result["grid_reasons"] is None:
        lines += [f"  no reasons of the grid: {answer.get('grid_reasons_untold') or 'the bank asks for none'}"]
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Asks the bank's service for one applicant, and says what it answers.")
    parser.add_argument("id", help="the enterprise, as both companies have it")
    parser.add_argument("--address", required=True, help="host:port, of `listen` in [online], with --grpc of `grpc`")
    parser.add_argument("--grpc", action="store_true", help="by gRPC, not by REST")
    parser.add_argument("--trust", required=True, help="the CA's certificate of the bank's own network, PEM")
    parser.add_argument("--certificate", required=True, help="this program's, PEM")
    parser.add_argument("--key", required=True, help="its key, PEM")
    parser.add_argument("--again", metavar="KEY", help="a key that was used before, for its answer; default: a new one")
    args = parser.parse_args(argv)
    try:
        print(said(ask(args)))
    except (Later, Wrong) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
