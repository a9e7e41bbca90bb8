"""The words of the data-quality page, in English and Chinese."""

from __future__ import annotations

from typing import Literal

Lang = Literal["en", "zh"]

_BOTH: dict[str, tuple[str, str]] = {
    "title": ("Data quality", "数据质量报告"),
    "private": (
        "For the owner of these records only: examples show values of single rows.",
        "仅供数据所有方内部使用：示例中含单行数据的取值。",
    ),
    "grid": ("grid company", "电网公司"),
    "bank": ("bank", "银行"),
    "rows": ("rows read", "读取行数"),
    "records_read": ("records read", "读取记录数"),
    "records_kept": ("records kept", "保留记录数"),
    "enterprises": ("enterprises", "企业数"),
    "period": ("months", "月份"),
    "warnings": ("Look at these first", "请首先查看"),
    "absent": ("no record of anybody in", "以下月份没有任何企业的记录："),
    "of_records": ("of records", "的记录"),
    "rules_title": ("What cleaning did", "清洗结果"),
    "rules_note": (
        "Every rule that touched a row, and what it did. Ids are masked. Shares are of the records read.",
        "每条触及数据的规则及其处理方式。企业标识已脱敏。占比以读取的记录数为分母。",
    ),
    "nothing": ("No rule touched anything.", "没有规则触及任何数据。"),
    "rule": ("rule", "规则"),
    "field": ("field", "字段"),
    "columns": ("columns", "数据列"),
    "action": ("done", "处理"),
    "touched": ("rows", "行数"),
    "share": ("share", "占比"),
    "examples": ("examples: place, id, month, value", "示例：位置、标识、月份、取值"),
    "missing_title": ("Missing by month", "各月缺失情况"),
    "missing_note": (
        "Share of the month's records whose value is missing after cleaning. First line: records in the month.",
        "清洗后该月记录中取值缺失的占比。首行为该月记录数。",
    ),
    "records": ("records", "记录数"),
    "fields_title": ("Fields after cleaning", "清洗后的字段"),
    "fields_note": (
        "Bars count values; a logarithmic axis leaves out zeros.",
        "柱形为取值个数；对数坐标不含零值。",
    ),
    "label": ("label", "标签"),
    "known": ("known", "有值"),
    "missing": ("missing", "缺失"),
    "zero": ("zero", "零值"),
    "mean": ("mean", "均值"),
    "median": ("median", "中位数"),
    "other": ("others", "其他"),
    "outliers_outside": ("bound of outliers", "离群值边界"),
    "to": ("to", "至"),
    "no_values": ("no value is known", "没有任何取值"),
    "rule_empty": ("empty", "空值"),
    "rule_malformed": ("malformed", "格式错误"),
    "rule_impossible": ("impossible", "不可能的取值"),
    "rule_outlier": ("outlier", "离群值"),
    "rule_unit": ("unit", "单位换算"),
    "rule_duplicate": ("same row again", "完全重复"),
    "rule_conflict": ("rows that differ", "重复但不一致"),
    "rule_format": ("written otherwise", "书写格式"),
    "rule_negative": ("below 0", "负值"),
    "rule_several": ("several rows of one month", "同月多条记录"),
    "rule_gap": ("gap in months", "月份间断"),
    "rule_id": ("bad id", "标识错误"),
    "rule_month": ("bad month", "月份错误"),
    "action_null": ("read as missing", "视为缺失"),
    "action_drop": ("left out", "剔除"),
    "action_clip": ("set to the bound", "截断至边界"),
    "action_first": ("first kept", "保留第一条"),
    "action_net": ("kept, net of feed-in", "保留（净用电量）"),
    "action_gross": ("set to 0", "置零"),
    "action_merge": ("made one by each field's rule", "按字段规则合并"),
    "action_last": ("last kept", "保留最后一条"),
    "made_by": ("Made by WattScore", "由 WattScore 生成"),
}


def words(lang: Lang) -> dict[str, str]:
    return {key: both[lang == "zh"] for key, both in _BOTH.items()}
