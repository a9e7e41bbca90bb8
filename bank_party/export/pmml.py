"""The formulas as PMML 4.4: a regression of u over derived fields, calibration, score and points as outputs."""

from __future__ import annotations

import math
from itertools import pairwise
from xml.etree import ElementTree as ET

from bank_party.decision.calibrate import Calibration
from bank_party.export.formula import GRID_PART, Formula, Linear, Steps
from common import __version__

_SPACE = "http://www.dmg.org/PMML-4_4"
Node = ET.Element


def as_pmml(formula: Formula) -> bytes:
    """A document of one RegressionModel. Its inputs are the bank's columns and grid_part, its result is u.

    Output fields: joint_u, log_odds, probability, score, and points_COLUMN of each of the bank's columns; "_" is added to a
    name that a column of the bank has.
    """
    names = _Names(formula)
    root = Node("PMML", xmlns=_SPACE, version="4.4")
    header = _in(root, "Header", description=f"{formula.job}. {formula.note}")
    _in(header, "Application", name="WattScore", version=__version__)
    numbers = [*formula.numbers, GRID_PART]
    dictionary = _in(root, "DataDictionary", numberOfFields=str(len(numbers) + len(formula.texts) + 1))
    for column in numbers:
        _in(dictionary, "DataField", name=column, optype="continuous", dataType="double")
    for column in formula.texts:
        _in(dictionary, "DataField", name=column, optype="categorical", dataType="string")
    _in(dictionary, "DataField", name=names.target, optype="continuous", dataType="double")
    transformations = _in(root, "TransformationDictionary")
    for part, term in zip(names.parts, formula.terms, strict=True):
        _derived(transformations, part, _term(term))
    model = _in(root, "RegressionModel", modelName=formula.job, functionName="regression", targetFieldName=names.target)
    schema = _in(model, "MiningSchema")
    for column in (*numbers, *formula.texts):
        _in(schema, "MiningField", name=column, usageType="active", invalidValueTreatment="asIs")
    _in(schema, "MiningField", name=names.target, usageType="target")
    _outputs(_in(model, "Output"), formula, names)
    table = _in(model, "RegressionTable", intercept=repr(formula.centre))
    for part in names.parts:
        _in(table, "NumericPredictor", name=part, coefficient="1.0")
    _in(table, "NumericPredictor", name=GRID_PART, coefficient="1.0")
    ET.indent(root)
    return b'<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode").encode() + b"\n"


class _Names:
    """What the document calls what it makes: an evaluator reads a column of the same name in its place, or neither.

    target: of the regression; parts: each term's contribution.
    """

    def __init__(self, formula: Formula) -> None:
        self._taken = {*formula.numbers, *formula.texts, GRID_PART}
        self.target, self.u = self.free("u"), self.free("joint_u")
        self.log_odds, self.probability, self.score = map(self.free, ("log_odds", "probability", "score"))
        self.parts = [self.free(f"c{k}") for k in range(len(formula.terms))]

    def free(self, name: str) -> str:
        """This name, or a longer one, that nothing else has."""
        while name in self._taken:
            name += "_"
        self._taken.add(name)
        return name


def _in(parent: Node, tag: str, **attributes: str) -> Node:
    return ET.SubElement(parent, tag, attributes)


def _derived(parent: Node, name: str, expression: Node) -> None:
    _in(parent, "DerivedField", name=name, optype="continuous", dataType="double").append(expression)


def _number(value: float) -> Node:
    node = Node("Constant", dataType="double")
    node.text = repr(float(value))
    return node


def _field(name: str) -> Node:
    return Node("FieldRef", field=name)


def _apply(function: str, *arguments: Node) -> Node:
    node = Node("Apply", function=function)
    node.extend(arguments)
    return node


def _line(x: Node, slope: float, shift: float) -> Node:
    return _apply("+", _apply("*", _number(slope), x), _number(shift))


def _term(term: Linear | Steps) -> Node:
    """A term's contribution in log-odds."""
    if isinstance(term, Steps):
        return _steps(term)
    x = _indicator(term) if term.level is not None else _value(term)
    standard = _apply("/", _apply("-", x, _number(term.mean)), _number(term.deviation))
    return _line(_apply("max", _number(term.low), _apply("min", _number(term.high), standard)), term.slope, term.shift)


def _value(term: Linear) -> Node:
    def x() -> Node:
        there = _field(term.column)
        if term.fill is not None:  # not by mapMissingTo, whose value JPMML takes for text that it will not compare
            there = _apply("if", _apply("isMissing", there), _number(float(term.fill)), _field(term.column))
        return there

    if not term.signed_log:
        return x()
    negative = _apply("*", _number(-1.0), _apply("ln", _apply("-", _number(1.0), x())))
    return _apply("if", _apply("lessThan", x(), _number(0.0)), negative, _apply("ln", _apply("+", _number(1.0), x())))


def _indicator(term: Linear) -> Node:
    node = _map(term.column, [(str(term.level), 1.0)], 0.0)
    if term.fill is not None:
        node.set("mapMissingTo", "1.0" if term.fill == term.level else "0.0")
    return node


def _map(column: str, values: list[tuple[str, float]], other: float) -> Node:
    """A number for each text."""
    node = Node("MapValues", outputColumn="value", dataType="double", defaultValue=repr(other))
    _in(node, "FieldColumnPair", field=column, column="text")
    table = _in(node, "InlineTable")
    for text, value in values:
        row = _in(table, "row")
        _in(row, "text").text, _in(row, "value").text = text, repr(value)
    return node


def _steps(term: Steps) -> Node:
    if not (term.edges if term.levels is None else term.levels):  # one bin, of which no interval and no table is
        other = [] if term.missing is None else [_number(term.missing)]
        return _apply("if", _apply("isNotMissing", _field(term.column)), _number(term.values[0]), *other)
    if term.levels is not None:
        node = _map(term.column, list(zip(term.levels, term.values, strict=False)), term.values[-1])
    else:
        node = Node("Discretize", field=term.column, dataType="double")
        bounds = [None, *term.edges, None]
        for (low, high), value in zip(pairwise(bounds), term.values, strict=True):
            bin_ = _in(node, "DiscretizeBin", binValue=repr(value))
            sides = {"leftMargin": low, "rightMargin": high}
            margins = {side: repr(edge) for side, edge in sides.items() if edge is not None}
            _in(bin_, "Interval", closure="openOpen" if low is None else "closedOpen", **margins)
    if term.missing is not None:
        node.set("mapMissingTo", repr(term.missing))
    return node


def _outputs(outputs: Node, formula: Formula, names: _Names) -> None:
    _in(outputs, "OutputField", name=names.u, optype="continuous", dataType="double", feature="predictedValue")
    _output(outputs, names.log_odds, _log_odds(formula.calibration, names.u))
    good = _apply("exp", _line(_field(names.log_odds), -1.0, 0.0))
    _output(outputs, names.probability, _apply("/", _number(1.0), _apply("+", _number(1.0), good)))
    rounded = _apply("round", _line(_field(names.log_odds), -formula.factor, formula.offset))  # 0 of none, to PMML4S
    _output(outputs, names.score, _apply("if", _apply("isNotMissing", _field(names.log_odds)), rounded))
    for column in formula.columns:
        parts = [_field(part) for part, term in zip(names.parts, formula.terms, strict=True) if term.column == column]
        total = parts[0]
        for part in parts[1:]:
            total = _apply("+", total, part)
        _output(outputs, names.free(f"points_{column}"), _apply("*", _number(formula.rate), total))


def _output(outputs: Node, name: str, expression: Node) -> None:
    field = _in(outputs, "OutputField", name=name, optype="continuous", dataType="double", feature="transformedValue")
    field.append(expression)


def _log_odds(c: Calibration, joint: str) -> Node:
    """joint: the field of u."""
    u = _field(joint)
    if c.method != "isotonic":
        return _line(u, c.slope, c.intercept)
    if len(c.knots) == 1:  # of which nothing can be interpolated
        return _line(u, 0.0, math.log(c.levels[0] / (1.0 - c.levels[0])))
    p = Node("NormContinuous", field=joint, outliers="asExtremeValues")
    for knot, level in zip(c.knots, c.levels, strict=True):
        _in(p, "LinearNorm", orig=repr(knot), norm=repr(level))
    other = _apply("-", _number(1.0), p)
    return _apply("ln", _apply("/", p, other))
