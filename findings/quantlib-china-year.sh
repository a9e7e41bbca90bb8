#!/usr/bin/env bash
# QuantLib 1.44: in its calendars of China every working day of 2027 but New Year's Day is one, National Day and Spring Festival too.
# The lists of moved holidays end with 2026, as the State Council tells a year's in the autumn before; what stands in the law for each
# year (1 to 3 October, 1 and 2 May, Spring Festival, Qingming) is not there either, and nothing says that a year is not known.
# Expected: an error, as of chinesecalendar, or the days that the law names, as of holidays.
# Seen on 2026-11-30, Python 3.11:
#   QuantLib 1.44           2026: 19 weekdays are holidays; 2027: 1; 2027-02-08 True, 2027-10-01 True
#   holidays 0.109          2027-02-08 False, 2027-10-01 False
#   chinesecalendar 1.11.0  NotImplementedError
# Instalments due in the week of National Day are overdue a week before banks open: days past due of 30 and 90 are reached early.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet --disable-pip-version-check QuantLib==1.44 holidays==0.109 chinesecalendar==1.11.0
"$folder/env/bin/python" -W ignore - <<'END'
from datetime import date, timedelta

import chinese_calendar
import holidays
import QuantLib as ql

bank, law = ql.China(ql.China.IB), holidays.country_holidays("CN")


def works(day: date) -> bool:
    return bank.isBusinessDay(ql.Date(day.day, day.month, day.year))


def closed(year: int) -> list[date]:
    days = [date(year, 1, 1) + timedelta(k) for k in range(365)]
    return [day for day in days if day.weekday() < 5 and not works(day)]


days = [date(2027, 2, 8), date(2027, 10, 1)]  # Monday after Spring Festival, which is on the 6th; National Day, a Friday
try:
    told = str(chinese_calendar.is_workday(days[0]))
except NotImplementedError as error:
    told = type(error).__name__
print(f"QuantLib: 2026: {len(closed(2026))}, 2027: {len(closed(2027))};", *(f"{day} {works(day)}" for day in days))
print("holidays:", *(f"{day} {law.is_working_day(day)}" for day in days), f"\nchinesecalendar: {told}")
same = len(closed(2026)) == 19 and closed(2027) == [date(2027, 1, 1)] and all(map(works, days))
raise SystemExit(not (same and not any(map(law.is_working_day, days)) and told == "NotImplementedError"))
END
