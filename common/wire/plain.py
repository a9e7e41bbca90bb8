"""Messages as plain data, for callers that know nothing of protobuf."""

from __future__ import annotations

from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

_LONG = (FieldDescriptor.CPPTYPE_INT64, FieldDescriptor.CPPTYPE_UINT64)


def as_dict(message: Message) -> dict[str, Any]:
    """`message` as JSON-safe data, every field present. All whole numbers are numbers: protobuf's JSON has 64 bits as text."""
    found = MessageToDict(message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)
    return _numbered(message.DESCRIPTOR, found)


def _numbered(kind: Any, found: dict[str, Any]) -> dict[str, Any]:
    fields = {field.name: field for field in kind.fields}
    return {name: _value(fields[name], value) for name, value in found.items()}


def _value(field: FieldDescriptor, value: Any) -> Any:
    kind = field.message_type
    if kind is not None and kind.GetOptions().map_entry:
        of = kind.fields_by_name["value"]
        return {key: _value(of, one) for key, one in value.items()}
    if isinstance(value, list):
        return [_one(field, one) for one in value]
    return _one(field, value)


def _one(field: FieldDescriptor, value: Any) -> Any:
    if field.cpp_type in _LONG:
        return int(value)
    return _numbered(field.message_type, value) if field.message_type is not None else value
