"""What a bank's doctor says of `[online]`, without the network: certificate, callers, model, stocks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from cryptography import x509

from bank_party.home import BankHome
from bank_party.online.config import OnlineConfig, ShadowConfig
from bank_party.online.stocks import check_left, stocks_waiting
from bank_party.settings import BankSettings
from common.doctor.finding import Finding, Machine, failed, lifetime, passed, warned
from common.errors import PolicyError, WattScoreError
from common.home.models import CHAMPION
from common.trust.authority import parse_key
from common.wire.tls import read_key

_RENEW = "Have the bank's PKI issue another and put it in place of the two files: no restart is needed."
_DEAL = "Deal some: `wattscore predeal --scores`."


def check_online(settings: BankSettings, machine: Machine) -> Iterator[Finding]:
    """Nothing where it is off."""
    config = settings.online
    if config is None:
        return
    yield from _check_certificate(config, machine)
    if config.trust is not None:
        yield _check_trust("online callers", config.trust, machine)
    if config.oidc is not None and config.oidc.trust is not None:
        yield _check_trust("online identity provider", config.oidc.trust, machine)
    if config.bank_dataset not in settings.datasets:
        yield failed(
            "online dataset", f"bank_dataset = {config.bank_dataset!r} is no dataset here", "Declare it under [datasets]."
        )
    if (settings.data).exists():
        yield from _check_stocks(settings, config)
        if config.shadow is not None:
            yield _check_challenger(settings, config, config.shadow)


def _check_certificate(config: OnlineConfig, machine: Machine) -> Iterator[Finding]:
    try:
        first, *_ = x509.load_pem_x509_certificates(config.certificate.read_bytes())
        own = parse_key(read_key(config.key), str(config.key)).public_key() == first.public_key()
    except (OSError, ValueError) as error:
        yield failed(
            "online certificate", f"{config.certificate}: {error}", "Give a PEM file, the service's certificate first."
        )
        return
    except WattScoreError as error:
        yield failed("online certificate", error)
        return
    if not own:
        yield failed(
            "online certificate", f"{config.key} is not the key of {config.certificate}", "Name two that belong together."
        )
        return
    yield lifetime("online certificate", first.not_valid_after_utc, machine.now(), _RENEW)


def _check_trust(check: str, file: Path, machine: Machine) -> Finding:
    try:
        found = x509.load_pem_x509_certificates(file.read_bytes())
    except (OSError, ValueError) as error:
        return failed(check, f"{file}: {error}", "Give a PEM file of CA certificates.")
    return lifetime(check, max(one.not_valid_after_utc for one in found), machine.now(), "Add the CA's next certificate.")


def _check_stocks(settings: BankSettings, config: OnlineConfig) -> Iterator[Finding]:
    home = BankHome.of(settings)
    try:
        job = home.registry.champion if config.model == CHAMPION else config.model
        if job is None:
            yield warned("online model", "no model is champion", "Promote one: `wattscore promote JOB`.")
            return
        left = stocks_waiting(home, job, config.stock_rows)
        yield passed("online model", job)
        if left is None:
            return
    except WattScoreError as error:
        yield failed("online model", error)
        return
    finally:
        home.close()
    text = f"{sum(left):,} rows in {len(left)} stocks, beside the one that a session uses"
    if sum(left) < config.warn_rows or not left:
        yield warned("online stocks", text, _DEAL)
    elif config.renew_hours * len(left) < config.warn_hours:
        yield warned("online stocks", f"{text}; each session takes one, every {config.renew_hours:g} h at least", _DEAL)
    else:
        yield passed("online stocks", text)


def _check_challenger(settings: BankSettings, config: OnlineConfig, shadow: ShadowConfig) -> Finding:
    """What the service looks at too, before a session of the challenger begins."""
    check, home = "online challenger", BankHome.of(settings)
    try:
        home.models.load(shadow.model)
        champion = home.registry.champion if config.model == CHAMPION else config.model
        if champion == shadow.model:
            return warned(check, f"{shadow.model} is the champion by now", "Take [online.shadow] out, or name another model.")
        if champion is not None:
            check_left(home, champion, config.stock_rows, shadow.model, shadow.stock_rows)
    except PolicyError as error:
        return warned(check, f"{shadow.model}: {error}", _DEAL)
    except WattScoreError as error:
        return failed(check, error)
    finally:
        home.close()
    return passed(check, shadow.model)
