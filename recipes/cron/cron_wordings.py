"""Further ways to say what the cron experts of the first trainings misread: phrases of training, for ``wordings.yaml`` only.

None of them is a phrase that validation and test keep for themselves. Placeholders are those of ``cron_phrasings``.
"""

from __future__ import annotations

from cron_phrasings import lines  # the recipe's folder is not a package

PHRASES: dict[str, tuple[str, ...]] = {
    "clock": lines("""at {c} each time
        always at {c}
        as soon as it turns {c}
        starting at {c}
        {c}, not a minute later
        on the stroke of {c}"""),
    "every_minute": lines("""minutely
        once each minute
        on every minute
        on each and every minute
        at one-minute intervals
        each full minute"""),
    "every_n_minutes": lines("""once in {n} minutes
        one run per {n} minutes
        with a period of {n} minutes
        whenever {n} minutes have passed
        with a pause of {n} minutes
        repeated every {n} minutes
        in a {n} minute rhythm
        again and again, every {n} minutes"""),
    "hourly": lines("""each time a full hour is reached
        hour after hour, on the hour
        every sixty minutes, on the hour
        at every full hour
        round the clock at :00
        as each hour starts"""),
    "hourly_at": lines("""each hour, {m} minutes after it starts
        every hour plus {m} minutes
        every hour, with an offset of {m} minutes
        {m} min after each full hour
        {m} minutes after every full hour
        at the {m} minute mark of every hour
        when {m} minutes of the hour have passed
        each hour with the minute set to {m}
        every hour, always on minute {m}
        hour after hour at :{mm}
        each hour once, on the {m}-minute mark"""),
    "every_n_hours": lines("""once in {n} hours, on the hour
        one run per {n} hours
        every {n} hours sharp
        whenever {n} hours have passed since midnight
        with a period of {n} hours
        in a {n} hour rhythm"""),
    "every_n_hours_at": lines("""{m} minutes after every {nth} full hour
        every {n} hours plus {m} minutes
        every {n} hours, with an offset of {m} minutes
        every {nth} hour, {m} minutes after it starts
        once in {n} hours, at the {m} minute mark
        every {n} hours, always on minute {m}"""),
    "hour_range": lines("""hourly, the earliest run at {c} and the latest at {c2}
        every hour beginning at {c}, up to {c2}
        every hour, the first run at {c}, the final one at {c2}
        from {c} on every hour, up to and including {c2}
        hourly as of {c}, stop after {c2}
        once every hour, begin at {c}, finish at {c2}
        hourly within {c} to {c2}
        start at {c}, repeat every hour, end at {c2}
        hour by hour from {c} up to {c2}
        on each hour no earlier than {c} and no later than {c2}
        every hour; start: {c}, stop: {c2}
        on every hour of the span {c} to {c2}
        between {c} and {c2}, both included, once every hour"""),
    "minutes_in_hours": lines("""{every}, the earliest run at {c} and the latest by {c2}
        {every}, beginning at {c}, up to {c2}
        {every}, the first run at {c}, the final one by {c2}
        from {c} on {every}, up to {c2}
        {every} as of {c}, stop after {c2}
        {every}, begin at {c}, finish by {c2}
        {every} within {c} to {c2}
        start at {c}, then {every}, end by {c2}
        {every}, no earlier than {c} and no later than {c2}
        {every}; start: {c}, stop: {c2}
        {every} while the clock is between {c} and {c2}
        {every}, but only after {c} and only up to {c2}
        only in the hours {h} to {h2}: {every}
        {every} as long as it is between {c} and {c2}"""),
    "minutes_in_hour": lines("""{every}, beginning at {c}, up to {c2}
        {every} within {c} to {c2}
        {every}, the first run at {c}, the final one by {c2}
        {every}, no earlier than {c} and no later than {c2}
        {every}, but only in the {hour} hour
        all through the {hour} hour {every}"""),
    "two_minutes": lines("""every hour, on minutes {m} and {m2}
        each hour twice, {m} and {m2} minutes after it starts
        {m} and {m2} minutes after every full hour
        at the {m} and {m2} minute marks of each hour
        when {m} or {m2} minutes of the hour have passed"""),
    "three_minutes": lines("""every hour, on minutes {m}, {m2} and {m3}
        {m}, {m2} and {m3} minutes after every full hour
        at the {m}, {m2} and {m3} minute marks of each hour
        when {m}, {m2} or {m3} minutes of the hour have passed"""),
    "two_clocks": lines("""at {c}, and a second time at {c2}
        the first time at {c}, the other time at {c2}
        at {c} as well as {c2}
        at {c} or {c2}"""),
    "three_clocks": lines("""at {c}, at {c2} as well as {c3}
        at {c}, a second time at {c2}, a third time at {c3}
        at {c}, {c2} or {c3}
        the first time at {c}, later at {c2} and {c3}"""),
    "daily": lines("""on every day
        on all seven days
        whatever the weekday
        every day of the year
        on any day
        each and every day"""),
    "all_but": lines("""on every day that is not a {w}
        daily, {w} excepted
        all week, but never on {w}
        each day, leaving out {w}
        every day, {w}s excluded
        the whole week without {w}"""),
    "weekday_range": lines("""beginning {w}, up to {w2}
        each week, {w} up to {w2}
        from {w} on, up to and including {w2}
        on all days {w} to {w2}
        starting with {w}, stopping with {w2}"""),
    "month_day": lines("""each time the {o} of a month arrives
        every month, always on day {d}
        on day number {d} of each month
        on the {o}, each month"""),
    "month_days": lines("""each time the {o} or {o2} of a month arrives
        on the {o} as well as the {o2}, each month
        every month, always on days {d} and {d2}
        if the day of the month is {d} or {d2}"""),
    "three_month_days": lines("""each time the {o}, {o2} or {o3} of a month arrives
        every month, always on days {d}, {d2} and {d3}
        if the day of the month is {d}, {d2} or {d3}
        on the {o}, the {o2} as well as the {o3}, each month"""),
    "month_day_range": lines("""each month, beginning the {o}, up to the {o2}
        every month, always on days {d} up to {d2}
        from day {d} on, up to day {d2} of each month
        on all days of the month, {d} to {d2}
        as long as the day of the month is {d} to {d2}"""),
    "first_days": lines("""each month on days 1 up to {n}
        when a month begins, for {n} days
        in the opening {n} days of each month"""),
    "year_day": lines("""each time {date} arrives
        always on {date}
        every year, always on {date}
        if today is {date}"""),
    "month": lines("""while it is {M}
        on all days of {M}
        the whole of {M}
        {M} only"""),
    "months": lines("""while it is {M} or {M2}
        on all days of {M} and {M2}
        {M} and {M2} only"""),
    "month_range": lines("""beginning in {M}, up to {M2}
        as of {M}, up to and including {M2}
        from {M} on, until {M2} is over
        while the month is {M} to {M2}
        every day, the first month is {M}, the last {M2}
        on all days, {M} up to {M2}
        start with {M}, stop with {M2}"""),
    "day_of_months": lines("""each time the {o} of {M} or {M2} arrives
        always on the {o} of {M} and of {M2}
        if today is {M} {o} or {M2} {o}"""),
    "quarter": lines("""on the opening day of each quarter
        every three months, on the 1st, beginning in January
        each quarter once, on day one"""),
}
"""By kind of time or days."""

SHARE = 0.75
"""How often a phrase of a kind is one of these, and not one of training's."""
