"""Phrasings of the cron recipe, by what they say: pairs of what training may say and what only validation and test say.

Placeholders hold words that ``cron_schedules`` chose: ``{c}`` clock times, ``{n}`` counts, ``{m}`` minutes, ``{d}`` days, ``{o}`` "3rd",
``{M}`` months, ``{w}`` weekdays, ``{date}`` a day of the year. A frame holds the whole schedule at ``{core}``, a task at ``{do}``.
"""

from __future__ import annotations

Pair = tuple[tuple[str, ...], tuple[str, ...]]


def lines(text: str) -> tuple[str, ...]:
    """One phrase a line."""
    return tuple(line.strip() for line in text.strip().split("\n"))


TIMES: dict[str, Pair] = {
    "clock": (
        lines("""at {c}
            at {c}
            at {c}
            at {c}
            at {c}
            {c}
            {c}
            @ {c}
            at exactly {c}
            at {c} sharp
            {c} exactly"""),
        lines("""at {c} on the dot
            when the clock says {c}
            with a start time of {c}
            whenever it is {c}
            precisely at {c}"""),
    ),
    "every_minute": (
        lines("""every minute
            each minute
            once a minute
            once per minute
            every single minute
            every 1 minute
            every min"""),
        lines("""minute after minute
            one time a minute
            60 times an hour
            every 60 seconds"""),
    ),
    "every_n_minutes": (
        lines("""every {n} minutes
            every {n} minutes
            every {n} minutes
            every {n} min
            every {n} mins
            each {n} minutes
            once every {n} minutes
            at {n} minute intervals
            at intervals of {n} minutes
            in {n}-minute steps
            {n} minutes apart
            all {n} minutes"""),
        lines("""on a {n}-minute cycle
            one time every {n} minutes
            at a {n}-minute interval
            after every {n} minutes
            with {n} minutes between runs"""),
    ),
    "every_15_minutes": (
        lines("""every quarter of an hour
            every quarter hour
            once every quarter of an hour
            four times an hour, every 15 minutes
            every fifteen minutes"""),
        lines("""on every quarter hour
            each quarter-hour"""),
    ),
    "every_30_minutes": (
        lines("""every half hour
            every half an hour
            half-hourly
            each half hour
            twice an hour, every 30 minutes
            every thirty minutes
            once every half hour
            on the hour and on the half hour"""),
        lines("""at half-hour intervals
            on every half hour
            once per half hour"""),
    ),
    "hourly": (
        lines("""every hour
            every hour
            hourly
            once an hour
            each hour
            once per hour
            every hour on the hour
            every hour, on the hour
            on the hour, every hour
            at the top of every hour
            at minute 0 of every hour
            at the start of each hour"""),
        lines("""whenever the hour strikes
            at each full hour
            24 times a day, on the hour
            when a new hour begins
            at the beginning of every hour"""),
    ),
    "hourly_at": (
        lines("""at {m} minutes past every hour
            at {m} minutes past the hour, every hour
            at minute {m} of every hour
            {m} minutes past the hour
            {m} past every hour
            at {m} past each hour
            hourly at minute {m}
            hourly at :{mm}
            every hour at :{mm}
            every hour at minute {m}
            once an hour, at minute {m}
            once an hour at {m} past
            every hour, {m} minutes after the hour
            every hour at {m} past the hour"""),
        lines("""each hour when the minute is {m}
            hourly, {m} minutes in
            when the minute hand is at {m}
            {m} minutes into every hour
            one time an hour, at :{mm}"""),
    ),
    "hourly_words": (
        lines("""at {q} every hour
            every hour at {q}
            hourly at {q}
            once an hour at {q}
            each hour at {q}
            {q} every hour
            {q} each hour"""),
        lines("""at {q} of each hour
            one time an hour, at {q}"""),
    ),
    "every_n_hours": (
        lines("""every {n} hours
            every {n} hours
            every {n} hours on the hour
            every {n} hours, on the hour
            once every {n} hours
            each {n} hours
            every {n} hrs
            every {n}h
            every {n} hours starting at midnight
            every {n} hours from midnight
            all {n} hours
            every {nth} hour
            every {nth} hour on the hour"""),
        lines("""at {n}-hour intervals
            at the full hour, every {n} hours
            one time every {n} hours
            with {n} hours in between, starting at midnight
            after every {n} hours"""),
    ),
    "every_n_hours_at": (
        lines("""every {n} hours at minute {m}
            every {n} hours at {m} past
            every {n} hours at {m} minutes past the hour
            {m} minutes past every {nth} hour
            at {m} past every {nth} hour
            at minute {m} of every {nth} hour
            every {nth} hour at :{mm}
            every {n} hours, {m} minutes past the hour"""),
        lines("""every {n} hours when the minute is {m}
            at {n}-hour intervals, {m} minutes past the hour
            {m} minutes into every {nth} hour"""),
    ),
    "two_clocks": (
        lines("""at {c} and {c2}
            at {c} and {c2}
            at {c} and at {c2}
            {c} and {c2}
            {c} & {c2}
            twice a day at {c} and {c2}
            twice a day, at {c} and {c2}
            twice: at {c} and {c2}
            at both {c} and {c2}
            two times, {c} and {c2}
            at {c}, {c2}"""),
        lines("""once at {c} and once more at {c2}
            both at {c} and at {c2}
            at {c} and again at {c2}
            at {c} plus {c2}"""),
    ),
    "three_clocks": (
        lines("""at {c}, {c2} and {c3}
            at {c}, {c2} and {c3}
            {c}, {c2}, {c3}
            {c}, {c2} and {c3}
            three times a day at {c}, {c2} and {c3}
            three times: {c}, {c2} and {c3}
            at {c}, at {c2} and at {c3}
            3x: {c}, {c2}, {c3}"""),
        lines("""first at {c}, then at {c2}, then at {c3}
            at {c} and {c2} and {c3}
            at {c} and again at {c2} and {c3}"""),
    ),
    "hour_range": (
        lines("""every hour from {c} to {c2}
            every hour from {c} to {c2}
            every hour between {c} and {c2}
            hourly between {c} and {c2}
            hourly from {c} to {c2}
            hourly from {c} until {c2}
            every hour from {c} through {c2}
            on the hour from {c} to {c2}
            once an hour from {c} to {c2}
            each hour from {c} till {c2}
            every full hour from {c} to {c2}
            every hour, {c} to {c2} inclusive"""),
        lines("""hourly, first at {c} and last at {c2}
            every hour starting at {c} and ending at {c2}
            each full hour between {c} and {c2}
            once per hour, {c} through {c2}"""),
    ),
    "minutes_in_hours": (
        lines("""{every} from {c} to {c2}
            {every} from {c} to {c2}
            {every} between {c} and {c2}
            {every} between {c} and {c2}
            {every} from {c} until {c2}
            {every} from {c} through {c2}
            {every}, {c} to {c2}
            {every}, {c} - {c2}
            between {c} and {c2} {every}
            from {c} to {c2} {every}
            {every} but only between {c} and {c2}
            {every} during the hours {h} to {h2}
            {every} in the hours {h} through {h2}"""),
        lines("""{every}, first at {c} and last by {c2}
            {every}, starting at {c} and ending at {c2}
            {every}, not before {c} and not after {c2}
            {every} in the window {c} to {c2}"""),
    ),
    "minutes_in_hour": (
        lines("""{every} from {c} to {c2}
            {every} between {c} and {c2}
            {every} during the {hour} hour
            {every} in the {hour} hour
            {every} within the {hour} hour
            from {c} to {c2}, {every}"""),
        lines("""{every} throughout the {hour} hour
            {every}, starting at {c} and ending at {c2}
            {every} as long as the hour is {hour}"""),
    ),
    "two_minutes": (
        lines("""at minutes {m} and {m2} of every hour
            at minute {m} and {m2} of every hour
            at {m} and {m2} past every hour
            at {m} and {m2} minutes past every hour
            every hour at :{mm} and :{mm2}
            twice an hour, at :{mm} and :{mm2}
            twice an hour at {m} and {m2} past
            twice an hour, at minute {m} and minute {m2}
            hourly at minutes {m} and {m2}
            at :{mm} and :{mm2} each hour"""),
        lines("""two times an hour, when the minute is {m} or {m2}
            both {m} and {m2} minutes into every hour
            each hour at :{mm} and again at :{mm2}"""),
    ),
    "three_minutes": (
        lines("""at minutes {m}, {m2} and {m3} of every hour
            at {m}, {m2} and {m3} past every hour
            three times an hour, at :{mm}, :{mm2} and :{mm3}
            every hour at minute {m}, {m2} and {m3}
            hourly at :{mm}, :{mm2} and :{mm3}"""),
        lines("""each hour when the minute is {m}, {m2} or {m3}
            {m}, {m2} and {m3} minutes into every hour"""),
    ),
}

DAYS: dict[str, Pair] = {
    "daily": (
        lines("""every day
            every day
            every day
            daily
            daily
            each day
            once a day
            every single day
            day by day
            7 days a week
            seven days a week"""),
        lines("""day after day
            on each day of the week
            all days of the week
            no matter what day it is"""),
    ),
    "weekday": (
        lines("""on {w}s
            on {w}s
            every {w}
            every {w}
            each {w}
            {w}s
            on {w}
            once a week on {w}
            weekly on {w}
            every week on {w}
            {w}s only
            on {w}s only
            only on {w}s"""),
        lines("""on any {w}
            whenever it is {w}
            one time a week, on {w}
            each week on {w}
            if it's a {w}"""),
    ),
    "weekdays": (
        lines("""on {w}
            on {w}
            every {w}
            each {w}
            {w}
            on {w} only
            only on {w}
            every week on {w}
            on the days {w}"""),
        lines("""whenever it is {w}
            each week on {w}
            strictly on {w}"""),
    ),
    "weekday_range": (
        lines("""{w} to {w2}
            {w} to {w2}
            {w} through {w2}
            {w} thru {w2}
            from {w} to {w2}
            from {w} through {w2}
            from {w} until {w2}
            {w}-{w2}
            {w} - {w2}
            every day from {w} to {w2}
            on {w} through {w2}"""),
        lines("""{w} up to and including {w2}
            starting {w} and ending {w2}
            on each day from {w} to {w2}
            {w} till {w2}"""),
    ),
    "workdays": (
        lines("""on weekdays
            on weekdays
            every weekday
            every weekday
            weekdays
            weekdays only
            on workdays
            every workday
            on working days
            each working day
            on business days
            every business day
            Monday to Friday
            Monday through Friday
            from Monday to Friday
            Mon-Fri
            mon to fri
            during the work week
            every day except weekends
            every day except Saturday and Sunday"""),
        lines("""on every working day
            from Monday up to and including Friday
            each day of the work week
            on all weekdays
            on any working day"""),
    ),
    "weekend": (
        lines("""on weekends
            on weekends
            on weekends only
            at the weekend
            every weekend day
            weekends
            on Saturdays and Sundays
            every Saturday and Sunday
            on Saturday and Sunday
            sat and sun
            each Saturday and Sunday
            only on weekends"""),
        lines("""on both weekend days
            on Saturday as well as Sunday
            every day of the weekend"""),
    ),
    "all_but": (
        lines("""every day except {w}
            every day except {w}s
            every day but {w}
            daily except on {w}s
            all days except {w}
            every day of the week except {w}
            every day, but not on {w}s
            daily, not on {w}s"""),
        lines("""each day other than {w}
            every day, skipping {w}s
            on all days apart from {w}"""),
    ),
    "month_day": (
        lines("""on the {o} of every month
            on the {o} of each month
            on the {o} of the month
            every month on the {o}
            monthly on the {o}
            once a month on the {o}
            on day {d} of every month
            on day {d} of the month
            each month on the {o}
            on the {o} day of every month
            on every {o} of the month
            every {o} of the month
            the {o} of every month"""),
        lines("""whenever the date is the {o}
            one time a month, on the {o}
            on the {o}, month after month
            when it is day {d} of a month"""),
    ),
    "month_days": (
        lines("""on the {o} and {o2} of every month
            on the {o} and the {o2} of each month
            on the {o} and {o2} of the month
            every month on the {o} and {o2}
            on days {d} and {d2} of the month
            twice a month, on the {o} and the {o2}
            each month on the {o} and on the {o2}
            monthly on the {o} and {o2}"""),
        lines("""on both the {o} and the {o2} of a month
            whenever the date is the {o} or the {o2}
            two times a month, on the {o} and {o2}"""),
    ),
    "three_month_days": (
        lines("""on the {o}, {o2} and {o3} of every month
            on days {d}, {d2} and {d3} of the month
            every month on the {o}, the {o2} and the {o3}
            on the {o}, {o2} and {o3} of each month
            three times a month: on the {o}, {o2} and {o3}"""),
        lines("""whenever the date is the {o}, the {o2} or the {o3}
            monthly, always on the {o}, {o2} and {o3}"""),
    ),
    "month_day_range": (
        lines("""from the {o} to the {o2} of every month
            from the {o} through the {o2} of each month
            on the {o} to the {o2} of the month
            on days {d} to {d2} of every month
            on days {d}-{d2} of the month
            every day from the {o} to the {o2} of the month
            between the {o} and the {o2} of each month"""),
        lines("""on the {o} up to and including the {o2} of a month
            every day of the month from day {d} to day {d2}
            starting the {o} and ending the {o2} of each month"""),
    ),
    "first_days": (
        lines("""on the first {n} days of every month
            on the first {n} days of the month
            during the first {n} days of each month
            on each of the first {n} days of the month"""),
        lines("""each month, but only on its first {n} days
            for the first {n} days of a month"""),
    ),
    "year_day": (
        lines("""on {date}
            on {date}
            every {date}
            each {date}
            every year on {date}
            once a year on {date}
            yearly on {date}
            each year on {date}
            on {date} every year
            on {date}, once a year
            {date}
            annually on {date}"""),
        lines("""whenever {date} comes around
            one time a year, on {date}
            on {date}, year after year
            when it is {date}"""),
    ),
    "month": (
        lines("""in {M}
            every day in {M}
            every day in {M}
            daily in {M}
            each day of {M}
            every day during {M}
            every day of {M}
            throughout {M}
            during {M}
            only in {M}"""),
        lines("""all through {M}
            as long as it is {M}
            on every single day of {M}
            daily, but just in {M}"""),
    ),
    "months": (
        lines("""in {M} and {M2}
            every day in {M} and {M2}
            daily in {M} and {M2}
            during {M} and {M2}
            each day of {M} and {M2}
            only in {M} and {M2}"""),
        lines("""as long as it is {M} or {M2}
            on every day of {M} as well as {M2}"""),
    ),
    "month_range": (
        lines("""from {M} to {M2}
            every day from {M} to {M2}
            daily from {M} through {M2}
            {M} through {M2}
            between {M} and {M2}
            each day from {M} until {M2}
            during {M} to {M2}
            in the months {M} to {M2}"""),
        lines("""from {M} up to and including {M2}
            starting in {M} and ending in {M2}
            all days from the start of {M} to the end of {M2}"""),
    ),
    "weekday_in_month": (
        lines("""on {w}s in {M}
            every {w} in {M}
            on every {w} in {M}
            each {w} in {M}
            every {w} of {M}
            on {w}s during {M}
            in {M} on {w}s
            in {M}, every {w}"""),
        lines("""whenever it is {w} in {M}
            on each and every {M} {w}
            {w}s, but just in {M}"""),
    ),
    "workdays_in_month": (
        lines("""on weekdays in {M}
            every weekday in {M}
            on working days in {M}
            Monday to Friday in {M}
            in {M} on weekdays
            in {M}, Monday to Friday
            every workday during {M}"""),
        lines("""on each working day of {M}
            weekdays, but just in {M}"""),
    ),
    "day_of_months": (
        lines("""on the {o} of {M} and {M2}
            on {M} {o} and {M2} {o}
            on the {o} of {M} and the {o} of {M2}
            every year on the {o} of {M} and {M2}
            twice a year, on {M} {o} and {M2} {o}
            each {o} of {M} and {M2}"""),
        lines("""whenever it is {M} {o} or {M2} {o}
            two times a year, on the {o} of {M} and {M2}"""),
    ),
    "quarter": (
        lines("""on the first day of every quarter
            on the first day of each quarter
            quarterly on the first day
            on the 1st of January, April, July and October
            every quarter on its first day
            on the first of Jan, Apr, Jul and Oct
            at the start of every quarter, on the 1st"""),
        lines("""whenever a new quarter begins, on its first day
            four times a year, on the first day of a quarter"""),
    ),
}

DAYPARTS: Pair = (
    lines("""every {part} at {b}
        every {part} at {b}
        each {part} at {b}
        at {b} every {part}
        at {b} in the {part}, every day
        daily at {b} in the {part}
        {b} every {part}
        {part}s at {b}"""),
    lines("""at {b}, {part} after {part}
        every single {part} when the clock says {b}
        when it is {b} in the {part}"""),
)
WEEKDAY_PARTS: Pair = (
    lines("""every {w} {part} at {b}
        {w} {part} at {b}
        on {w} {part}s at {b}
        each {w} {part} at {b}
        {w} {part}s at {b}
        at {b} every {w} {part}
        {b} on {w} {part}
        at {b} on {w} {part}s"""),
    lines("""any {w} {part} when the clock says {b}
        {w} {part}s, {b} on the dot
        once a week, {w} {part} at {b}"""),
)

ORDERS: Pair = (
    ("{day} {time}", "{day} {time}", "{time} {day}", "{time} {day}", "{time}, {day}", "{day}, {time}", "{day} - {time}"),
    ("{day}: {time}", "{time} ({day})", "{time} / {day}"),
)

FRAMES: Pair = (
    lines("""{core}
        {core}
        {core}
        {core}
        {Core}
        {Core}.
        {Core}.
        {Core} please
        cron for {core}
        cron {core}
        cron: {core}
        Cron: {core}.
        crontab: {core}
        crontab for {core}
        cron expression for {core}
        cron expression: {core}
        Cron expression for {core}, please.
        Give me a cron expression for {core}.
        Give me the cron expression for {core}
        give me a cron schedule for {core}
        Write a cron expression that runs {core}.
        Write a cron schedule for {core}.
        Write a crontab expression for: {core}
        What is the cron expression for {core}?
        What's the cron expression for {core}?
        what's the cron for {core}
        whats the crontab expression for {core}?
        How do I write {core} in cron?
        How do I say "{core}" in cron?
        Convert to cron: {core}
        Convert this to a cron expression: {core}
        Translate to cron: {core}
        Turn this into a cron expression: {core}.
        I need a cron expression for {core}.
        i need a cron job {core}
        I need a job that runs {core}.
        I want it to run {core}.
        It should run {core}.
        Run it {core}.
        run {core}
        Schedule: {core}
        Schedule it {core}.
        schedule a task {core}
        Set up a cron job that runs {core}.
        Can you give me a cron expression for {core}?
        Could you write the cron expression for {core}?
        can you make a cron that fires {core}
        {Do} {core}.
        {Do} {core}.
        {Do} {core}
        {do} {core}
        {do} {core}
        Please {do} {core}.
        please {do} {core}
        {Core}, {do}.
        {Core} {do}
        {Core}: {do}
        {core}, {do}
        I want to {do} {core}.
        I'd like to {do} {core}.
        I need to {do} {core}
        we want to {do} {core}
        We have to {do} {core}.
        My script should {do} {core}.
        our server must {do} {core}
        The job has to {do} {core}.
        The bot should {do} {core}.
        Cron job to {do} {core}
        cron to {do} {core}
        A cron expression to {do} {core}, please.
        What cron expression do I need to {do} {core}?
        How can I {do} {core}? I need the cron expression.
        hey, can you {do} {core}? just the cron expression
        Hi! I'd like to {do} {core}. What goes into my crontab?
        {The} should run {core}.
        {The} should run {core}
        {The} has to run {core}.
        {The} must run {core}.
        {The} runs {core}.
        {the} runs {core}
        I want {the} to run {core}.
        start {the} {core}
        Start {the} {core}.
        {the}: {core}
        {The}, {core}.
        {the}, {core}
        Trigger {the} {core}.
        run {the} {core}
        Can you schedule {the} {core}?
        please schedule {the} {core}
        Our admin wants {the} to run {core}.
        {The} needs a cron expression: {core}."""),
    lines("""When would cron fire if I asked for {core}? Write the expression.
        Task scheduler entry: {core}
        Please express "{core}" as five cron fields.
        which five fields mean {core}?
        I'm editing my crontab and want {core}, what do I type?
        Make {the} go off {core}.
        {The} ought to start {core}.
        We agreed that {the} is launched {core}.
        {the} gets kicked off {core}
        So my boss asked me to {do} {core}.
        Remember to {do} {core}!
        It would be great if you could {do} {core}.
        {Do} for us {core}
        Timer: {core}
        need this in crontab syntax -> {core}
        Fill in the schedule of {the}: {core}
        Launch {the} {core}.
        The team would like us to {do} {core}.
        help me with a cron line, {core}
        Could {the} go off {core}?
        tell cron to {do} {core}"""),
)

TASKS: Pair = (
    lines("""run the backup
        back up the database
        backup my files
        send the report
        send an email
        send out the newsletter
        rotate the logs
        clear the cache
        clean up temp files
        delete old files
        restart the server
        restart nginx
        reboot the machine
        sync the files
        sync the calendar
        check the disk space
        check the website
        ping the server
        update the packages
        run the script
        run my python script
        run update.sh
        run the tests
        start the import
        export the data
        pull the latest data
        fetch the exchange rates
        renew the certificate
        post to slack
        remind me to stretch
        water the plants
        turn on the lights
        turn off the heating
        feed the fish
        take a snapshot
        archive the orders
        build the project
        scan for viruses
        refresh the dashboard
        charge the customers
        send the invoices
        collect the metrics
        play the alarm
        open the gate
        close the shop system
        generate the sitemap
        rebuild the index
        print the schedule
        warm up the oven
        crawl the site"""),
    lines("""copy the photos to the NAS
        mail the sales figures
        purge expired sessions
        poll the weather station
        record the radio show
        bring down the shutters
        reindex the shop search
        download the price list
        ring the school bell
        flush the queue
        measure the water level
        publish the podcast"""),
)

THINGS: Pair = (
    lines("""the backup
        my backup
        the job
        the script
        this task
        my script
        the report
        the cleanup
        the cleanup job
        the import
        the data import
        the export
        the sync
        the health check
        the newsletter job
        the log rotation
        the reminder
        the deploy
        the crawler
        the update
        the billing job
        the alarm
        the pump
        our test suite
        the monitoring script
        backup.sh
        sync.py
        the database dump
        the batch job
        the payment run"""),
    lines("""the virus scan
        the stock check
        the mail digest
        the snapshot tool
        our price scraper
        the garden sprinkler
        the feed reader
        the audit
        cleanup.rb"""),
)
