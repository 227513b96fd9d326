"""Two exports that differ in everything, as files: the bank's extended data as one file, and a made-up company's two."""

import csv
import gzip
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd

from lead_scoring_assets.leads.bank import rebuild_dates

MACRO = ("emp.var.rate", "cons.price.idx", "cons.conf.idx", "euribor3m", "nr.employed")


def write_bank_additional(mirror: Path, target: Path, *, with_macro: bool, rows: int | None = None) -> Path:
    """The bank's extended file as a CRM would export it: with an id, a date, a status and the date of the outcome.

    It has month names in date order and no days: rows are spread evenly over their month. The delay of outcomes is made
    up. `rows`: only every so many-th row, so that about that many are left.
    """
    with gzip.open(mirror / "bank-additional-full.csv.gz") as packed:
        frame = pd.read_csv(packed, sep=";", keep_default_na=False)
    first = rebuild_dates(frame["month"], pd.Series(1, index=frame.index), first_year=2008)
    run = first.ne(first.shift()).cumsum()
    place, size = run.groupby(run).cumcount(), run.groupby(run).transform("size")
    length = first.dt.days_in_month
    created = first + pd.to_timedelta((place / size * length * 24).astype(int), unit="h")
    delay = np.random.default_rng(7).integers(1, 21, len(frame))
    closed = created + pd.to_timedelta(delay, unit="D")
    frame.insert(0, "client_id", [f"B{number:06d}" for number in range(1, len(frame) + 1)])
    frame.insert(1, "entry_date", created.dt.strftime("%d.%m.%Y %H:%M"))
    frame["outcome_date"] = closed.dt.strftime("%d.%m.%Y %H:%M")
    if not with_macro:
        frame = frame.drop(columns=list(MACRO))
    if rows is not None:
        frame = frame.iloc[:: max(1, len(frame) // rows)]
    path = target / "bank-additional.csv"
    frame.to_csv(path, sep=";", index=False, quoting=csv.QUOTE_NONNUMERIC)
    return path


def write_company(target: Path, *, leads: int = 3_000, encoding: str = "cp1252") -> list[Path]:
    """A company in Dubai that exports from Excel: two files, names with blanks, local times, days first, formulas."""
    chance = random.Random(11)
    sources = ["Referral", "Google Ads", "Walk-in", "Café Événement", "LinkedIn"]
    rows, ends = [], []
    start = datetime(2024, 1, 3, 9, tzinfo=UTC)
    for number in range(leads):
        created = start + timedelta(minutes=number * 400 * 24 * 60 / leads)
        source, staff = chance.choice(sources), chance.choice([1, 2, 5, 9, 20, 45, 120, 300])
        budget = chance.randrange(5, 90) * 500
        won = chance.random() < 0.08 + 0.25 * (source == "Referral") + 0.2 * (staff > 40)
        rows.append(
            {
                "Lead ID": f"FZ-{number:05d}",
                "Created On": created.strftime("%d/%m/%Y %H:%M"),
                "Company": chance.choice(
                    ["=SUM(A1:A9)", "Müller & Söhne", "Al Noor; Trading", '"Best" Deals, LLC', "+971 Co"]
                )
                + f" {number}",
                "No. of Employees": "" if chance.random() < 0.03 else str(staff),
                "Lead Source": source,
                "Budget (AED)": f"{budget:,}",
                "Newsletter?": chance.choice(["yes", "no"]),
                "Phone": f"+9715{chance.randrange(10**7):07d}",
            }
        )
        status = "Won" if won else chance.choice(["Lost", "Lost", "Junk", "Open"])
        closed = created + timedelta(days=chance.expovariate(1 / 9) + 0.1)
        ends.append(
            {
                "Lead ID": f"FZ-{number:05d}",
                "Status": status,
                "Closed On": "" if status == "Open" else closed.strftime("%d/%m/%Y %H:%M"),
                "Deal Value (AED)": f"{budget * 2:,}.00" if won else "",
            }
        )
    paths = []
    for name, content in (("leads export.csv", rows), ("deals.csv", ends)):
        path = target / name
        with path.open("w", encoding=encoding, newline="") as file:
            writer = csv.DictWriter(file, fieldnames=list(content[0]))
            writer.writeheader()
            writer.writerows(content)
        paths.append(path)
    return paths
