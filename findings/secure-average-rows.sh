#!/usr/bin/env bash
# Flower 1.42.0 (flwr), secure aggregation: the average of coefficients that all banks agree on is another one, where banks have many rows.
# Three banks of n rows have each fitted the coefficients 3, -3 and 0.5; the centre averages them by SecAggPlusWorkflow with its defaults
# (parameters within 8, weights up to 1000). Expected: 3, -3 and 0.5 whatever n is, as 3 is far within 8; or an error.
# Seen on 2026-11-29, Python 3.11:
#   1000 rows: 3 -3 0.5     5000 rows: 1.6 -1.6 0.5     20000 rows: 0.4 -0.4 0.4
# A bank's parameters are multiplied by n / 1000 before they are cut at 8, so the average holds nothing beyond 8000 / n. Each bank's log
# has a warning that n is beyond the largest weight and sums may overflow; none does, and the centre is told nothing. max_weight has to
# be the rows of the largest bank, which the centre of such an average is not to know.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3.11 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet --disable-pip-version-check flwr==1.42.0 numpy==2.4.6
cat > "$folder/average.py" <<'END'
import copy
import types

import numpy as np
from flwr.app import Context, Message, RecordDict
from flwr.client import NumPyClient
from flwr.client.mod import secaggplus_mod
from flwr.clientapp import ClientApp
from flwr.common import ndarrays_to_parameters, parameters_to_ndarrays
from flwr.server import LegacyContext, ServerConfig
from flwr.server.strategy import FedAvg
from flwr.server.workflow import DefaultWorkflow, SecAggPlusWorkflow
from flwr.serverapp import Grid
from flwr.supercore.task_identity import TaskIdentity

FITTED = np.array([3.0, -3.0, 0.5])
TaskIdentity.run_id = TaskIdentity.task_id = 1  # what the server's process sets for an app that it starts
TaskIdentity.node_id = 0


class Bank(NumPyClient):
    def __init__(self, rows):
        self.rows = rows

    def fit(self, parameters, config):
        return [FITTED], self.rows, {}


class Banks(Grid):
    """The three, in this process: a message is answered by the bank's app at once."""

    run = types.SimpleNamespace(run_id=1)

    def __init__(self, rows):
        app = ClientApp(lambda context: Bank(rows).to_client(), mods=[secaggplus_mod])
        self.sides = {node: (app, Context(1, node, {}, RecordDict(), {})) for node in (1, 2, 3)}

    def set_run(self, run): ...

    def create_message(self, content, message_type, dst_node_id, group_id, ttl=None):
        return Message(content, dst_node_id=dst_node_id, message_type=message_type, group_id=group_id)

    def get_node_ids(self):
        return list(self.sides)

    def push_messages(self, messages): ...

    def pull_messages(self, message_ids): ...

    def send_and_receive(self, messages, *, timeout=None):
        answers = []
        for message in messages:
            app, context = self.sides[message.metadata.dst_node_id]
            answers.append(app(copy.deepcopy(message), context))
        return answers


class Kept(FedAvg):
    average = None

    def aggregate_fit(self, server_round, results, failures):
        value = super().aggregate_fit(server_round, results, failures)
        self.average = parameters_to_ndarrays(value[0])[0]
        return value


def average(rows):
    begin = ndarrays_to_parameters([np.zeros(3)])
    kept = Kept(fraction_evaluate=0.0, min_fit_clients=3, min_available_clients=3, initial_parameters=begin)
    context = LegacyContext(Context(1, 0, {}, RecordDict(), {}), ServerConfig(num_rounds=1), kept)
    DefaultWorkflow(fit_workflow=SecAggPlusWorkflow(num_shares=3, reconstruction_threshold=2))(Banks(rows), context)
    return kept.average


seen = {rows: np.round(average(rows), 3) for rows in (1000, 5000, 20000)}
for rows, values in seen.items():
    print(f"{rows} rows:", *values)
expected = {1000: FITTED, 5000: [1.6, -1.6, 0.5], 20000: [0.4, -0.4, 0.4]}
raise SystemExit(not all(np.allclose(seen[rows], expected[rows], atol=0.002) for rows in seen))
END
"$folder/env/bin/python" "$folder/average.py" 2> /dev/null | grep ' rows: '
