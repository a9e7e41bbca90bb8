"""The methods of the protobuf services, by name."""

from __future__ import annotations

from common.wire import about_pb2, coordinator_pb2, party_pb2, peer_pb2

PEER = peer_pb2.DESCRIPTOR.services_by_name["Peer"]
PARTIES = party_pb2.DESCRIPTOR.services_by_name["Parties"]
COORDINATOR = coordinator_pb2.DESCRIPTOR.services_by_name["Coordinator"]
INFO = about_pb2.DESCRIPTOR.services_by_name["Info"]

ABOUT = INFO.methods_by_name["About"]
EXCHANGE = PEER.methods_by_name["Exchange"]
ATTEND = PARTIES.methods_by_name["Attend"]
DEAL = PARTIES.methods_by_name["Deal"]
MATCH = PARTIES.methods_by_name["Match"]
SUBMIT = COORDINATOR.methods_by_name["Submit"]
WATCH = COORDINATOR.methods_by_name["Watch"]
SHOW = COORDINATOR.methods_by_name["Show"]
LIST = COORDINATOR.methods_by_name["List"]
CANCEL = COORDINATOR.methods_by_name["Cancel"]
