"""Writes promtool tests of deploy/prometheus/rules.yml: which alerts fire, and that no other does.

    alerts.py RULES RATE…    prints a file for `promtool test rules`; RATE is 10 or 864000 a day

A day of Postcall at ten surveys a day, and one at ten a second, each with what happens on any day. No
alert may fire on them. Then each fault of FAULTS, at both rates: exactly the alerts that it names fire.
"""

import json
import sys

# A whole day comes before the fault.
HOURS, AT = 32, 26
FEW, HOURLY, MANY = 10, 240, 864_000
RATES = {FEW: "ten a day", HOURLY: "ten an hour", MANY: "ten a second"}
# Labels of the target before a rollout and after it: Prometheus may take over those of the pod.
TARGETS = [
    f'namespace="surveys",job="any",instance="10.0.0.{n}:9090",pod="postcall-0",controller_revision_hash="{n}"'
    for n in [1, 2]
]
ROLLOUT = 10
ACCEPTED = 'postcall_webhooks_total{source="ivr",outcome="created"}'
REJECTED = 'postcall_webhooks_total{source="ivr",outcome="rejected"}'
UNAVAILABLE = 'postcall_webhooks_total{source="ivr",outcome="unavailable"}'
MISMATCH = 'postcall_webhook_rejections_total{source="ivr",reason="signature_mismatch"}'
QUARANTINED = 'postcall_quarantine_webhooks{source="ivr"}'
SOURCE_CHANGED = 'postcall_quarantine_events_total{source="ivr",event="source_changed"}'
SHIFTED = 'postcall_webhook_rejections_total{source="ivr",reason="shifted_field"}'
ANSWERED = 'postcall_webhook_duration_seconds_count{class="accepted"}'
WITHIN_2S = 'postcall_webhook_duration_seconds_bucket{class="accepted",le="2"}'
LAST = 'postcall_webhook_last_accepted_timestamp_seconds{source="ivr"}'
ON_TIME = 'postcall_deliveries_total{account="main",result="on_time"}'
MISSED = 'postcall_deliveries_total{account="main",result="missed"}'
RATINGS = 'postcall_rating_count{survey="quality",queue="support"}'
STARS = 'postcall_rating_sum{survey="quality",queue="support"}'
FREE = "postcall_store_filesystem_free_bytes{}"


def attempts(verdict):
    return f'postcall_attempts_total{{account="main",verdict="{verdict}"}}'


def paused(cause):
    return f'postcall_account_paused{{account="main",cause="{cause}"}}'


def submissions(state):
    return f'postcall_submissions{{state="{state}"}}'


def overdue(cause):
    return f'postcall_queue_oldest_due_age_seconds{{cause="{cause}"}}'


def risk(why):
    return f'postcall_store_durability_risk{{risk="{why}"}}'


class Day:
    """Series by name, a value for each step."""

    def __init__(self, per_day, step=5):
        self.per_day, self.step = per_day, step
        self.is_busy = per_day > 1000
        self.steps = HOURS * 60 // step
        self.series = {}
        self.begin()

    def at(self, hours):
        return int(hours * 60 / self.step)

    def gauge(self, name, value, start=0.0, end=HOURS):
        """Sets it between two hours, to a value or to what a function makes of the seconds since then."""
        values = self.series.setdefault(name, [0] * self.steps)
        for n in range(self.at(start), self.at(end)):
            values[n] = value((n - self.at(start)) * self.step * 60) if callable(value) else value

    def events(self, name, per_day, start=0.0, end=HOURS):
        """Counts so many a day more, evenly."""
        values = self.series.setdefault(name, [0] * self.steps)
        begin, stop = self.at(start), self.at(end)
        for n in range(begin, self.steps):
            values[n] += int((min(n, stop) - begin) * self.step * per_day / 1440)

    def once(self, name, at, count=1):
        values = self.series.setdefault(name, [0] * self.steps)
        for n in range(self.at(at), self.steps):
            values[n] += count

    def stop(self, name, at):
        """Counts nothing more."""
        self.gauge(name, self.series[name][self.at(at)], at)

    def gone(self, at, end=HOURS, but=()):
        for name in self.series:
            if name not in but:
                self.gauge(name, None, at, end)

    def begin(self):
        """What happens on any day."""
        few, busy = self.per_day, self.is_busy
        self.gauge('postcall_build_info{version="0.1.0"}', 1)
        self.gauge("up{}", 1)
        # A new release, and a restart for a setting.
        self.gauge("process_start_time_seconds{}", 1000)
        self.gauge("process_start_time_seconds{}", 2000, ROLLOUT)
        self.gauge("process_start_time_seconds{}", 3000, 10.5)
        self.gauge("postcall_submissions_accepted_total{}", 100)
        for state in ["collecting", "pending", "ignored", "dead", "discarded"]:
            self.gauge(submissions(state), 0)
        self.gauge(submissions("delivered"), 100)
        # One call is unknown to Plivo: it is dead after a day, and discarded two hours later.
        self.events(attempts("unknown_call"), 144, 2, 26)
        self.gauge(overdue("retry"), lambda age: age, 2, 26)
        self.gauge(submissions("delivered"), 99, 26)
        self.gauge(submissions("dead"), 1, 26, 28)
        self.gauge(submissions("discarded"), 1, 28)
        # An operator pauses the account for six hours.
        for cause in ["operator", "account_rejected", "rejections", "unreachable"]:
            self.gauge(paused(cause), 0)
        self.gauge(paused("operator"), 1, 8, 14)
        self.gauge(overdue("paused"), lambda age: age, 8, 14)
        self.gauge(overdue("waiting"), 40)
        # Plivo cannot be reached for ten minutes.
        self.gauge(paused("unreachable"), 1, 16, 16.17)
        self.events(ACCEPTED, few)
        self.events('postcall_webhooks_total{source="ivr",outcome="duplicate"}', few / 10)
        self.gauge('postcall_webhooks_total{source="ivr",outcome="excess"}', 0)
        # Scanners; one webhook while the store could not be written.
        self.events(REJECTED, 2900 if busy else 1)
        self.events(MISMATCH, 2900 if busy else 1)
        self.gauge(SHIFTED, 0)
        # Scanners are quarantined.
        self.gauge(QUARANTINED, 100 if busy else 1)
        self.gauge(SOURCE_CHANGED, 0)
        self.once(UNAVAILABLE, 15)
        self.once("postcall_store_commit_failures_total{}", 15)
        self.gauge(LAST, lambda age: age if busy else age // 8640 * 8640)
        self.events(ANSWERED, few)
        self.events(WITHIN_2S, few)
        self.once(ANSWERED, 20)
        # One timeout, one retried 503, and at many a day one in a thousand.
        self.events(ON_TIME, few)
        self.events(MISSED, few / 1000)
        self.once(MISSED, 2)
        self.events(attempts("accepted"), few)
        self.events(attempts("unknown_result"), few / 1000)
        self.once(attempts("unknown_result"), 18)
        self.once(attempts("throttled"), 19)
        self.events(RATINGS, few)
        self.events(STARS, few * 4)
        self.gauge('postcall_submissions_dead_total{survey="quality",reason="corrupt"}', 0)
        self.gauge('postcall_submissions_set_aside_total{source="ivr"}', 0)
        self.gauge("postcall_store_writable{}", 1)
        self.gauge("postcall_store_damaged{}", 0)
        # Without a standby from the start, which was chosen.
        self.gauge(risk("asynchronous_commit"), 0)
        self.gauge(risk("no_synchronous_standby"), 1)
        self.gauge("postcall_store_filesystem_bytes{}", 10e9)
        self.gauge(FREE, lambda age: 8e9 - age * (8000 if busy else 10))
        self.gauge("postcall_settlements_pending{}", 0)
        self.gauge("postcall_spool_webhooks{}", 0)
        self.gauge("postcall_spool_webhooks_limit{}", 100_000)
        self.gauge('postcall_connections_limit{listener="public"}', 1000)
        self.gauge('postcall_connections{listener="public",state="idle"}', 300 if busy else 2)
        self.gauge('postcall_connections{listener="public",state="head"}', 0)
        self.gauge("postcall_clock_skew_seconds{}", 0.3)
        self.gauge("postcall_settings_last_reload_successful{}", 1)
        self.gauge("postcall_settings_stale{}", 0)

    def test(self, name, expected):
        """A group of promtool; `expected` are the names of alerts by hour."""
        series = [
            {"series": named, "values": notation(values)}
            for name, all_values in self.series.items()
            for named, values in self.by_target(name, all_values)
        ]
        checks = [
            {
                "expr": 'count by (alertname) (ALERTS{alertstate="firing"})',
                "eval_time": f"{self.at(hour) * self.step}m",
                "exp_samples": [
                    {"labels": f'{{alertname="{alert}"}}', "value": 1} for alert in sorted(alerts)
                ],
            }
            for hour, alerts in expected.items()
        ]
        labels = {
            "expr": 'count(ALERTS{instance!=""} or ALERTS{pod!=""} or ALERTS{controller_revision_hash!=""})',
            "eval_time": f"{HOURS * 60 - 15}m",
            "exp_samples": [],
        }
        return {
            "name": name,
            "interval": f"{self.step}m",
            "input_series": series,
            "promql_expr_test": checks + [labels],
        }


    def by_target(self, name, values):
        """Series of a name, before the rollout and after it; one with a colon is recorded by a rule, without a target."""
        metric, labels = name.rstrip("}").split("{")
        if ":" in metric:
            return [(name, values)]
        at = self.at(ROLLOUT)
        each = [values[:at], [None] * at + values[at:]]
        return [
            (f"{metric}{{{target}{',' if labels else ''}{labels}}}", part)
            for target, part in zip(TARGETS, each)
        ]


def notation(values):
    """As promtool writes series; equal values together."""
    written, n = [], 0
    while n < len(values):
        end = n
        while end < len(values) and values[end] == values[n]:
            end += 1
        value = "_" if values[n] is None else f"{values[n]:.10g}"
        written.append(f"{value}x{end - n - 1}" if values[n] is not None else f"_x{end - n}")
        n = end
    return " ".join(written)


# --- faults, each from AT on; `day` is a Day

FAULTS = []


def fault(*alerts, after=0.5, step=5, then=None, rate=None):
    """The decorated function makes a fault of which exactly these alerts fire, so many hours later.
    `then` is when they are resolved, if they are; `rate` is the only one that has the fault."""

    def add(function):
        FAULTS.append((function, alerts, after, step, then, rate))
        return function

    return add


@fault("PostcallStateCountsUnbalanced")
def a_submission_is_in_no_state(day):
    day.gauge(submissions("delivered"), 98, AT)


@fault("PostcallAbsent", after=5)
def nothing_is_scraped(day):
    day.gone(0)


@fault("PostcallDown", "PostcallAbsent")
def the_service_is_deleted_with_its_target(day):
    day.gone(AT)


@fault("PostcallDown", "PostcallAbsent", "PostcallReplicaDown")
def the_service_does_not_answer_scrapes(day):
    day.gone(AT, but=["up{}"])
    day.gauge("up{}", 0, AT)


@fault("PostcallCrashLooping", then=3)
def the_service_is_killed_every_ten_minutes(day):
    for n in range(6):
        day.gauge("process_start_time_seconds{}", 4000 + n, AT + n / 6)


@fault("PostcallConnectionsNearLimit")
def clients_leave_requests_unfinished(day):
    day.gauge('postcall_connections{listener="public",state="head"}', 690, AT)
    day.gauge('postcall_connections{listener="public",state="idle"}', 300, AT)


@fault("PostcallClockStepped")
def the_clock_is_put_back(day):
    day.gauge("postcall_clock_skew_seconds{}", -3600, AT)


@fault("PostcallStoreNotWritable", then=1.5)
def the_store_takes_no_writes_for_an_hour(day):
    day.gauge("postcall_store_writable{}", 0, AT, AT + 1)
    day.once("postcall_store_commit_failures_total{}", AT, 5)


@fault("PostcallStoreDamaged")
def the_store_is_damaged(day):
    day.gauge("postcall_store_damaged{}", 1, AT)


@fault("PostcallStoreDurabilityRisk", then=2)
def commits_of_the_database_are_not_synced(day):
    day.gauge(risk("asynchronous_commit"), 1, AT, AT + 1)


@fault("PostcallStoreDurabilityRisk")
def the_standby_of_the_database_is_lost(day):
    day.gauge(risk("no_synchronous_standby"), 0)
    day.gauge(risk("no_synchronous_standby"), 1, AT)


@fault("PostcallStoreDiskFull", "PostcallStoreDiskFilling", after=2)
def the_volume_runs_full(day):
    day.gauge(FREE, lambda age: max(8e9 - age * 2e6, 1e8), AT)


@fault("PostcallStoreDiskFilling", after=5)
def the_volume_fills_within_days(day):
    day.gauge(FREE, lambda age: 4.5e9 - age * 2e4, AT - 10)


@fault("PostcallCommitsFlapping", then=3)
def commits_fail_for_a_moment_again_and_again(day):
    for n in range(3):
        day.once("postcall_store_commit_failures_total{}", AT + n / 10)


@fault("PostcallCommitsFlapping", then=3)
def the_store_is_writable_now_and_then(day):
    for n in range(3):
        day.gauge("postcall_store_writable{}", 0, AT + n / 6, AT + n / 6 + 0.084)


@fault("PostcallSpoolNotDraining")
def the_database_is_away_and_webhooks_are_spooled(day):
    day.gauge("postcall_spool_webhooks{}", 40, AT)


@fault("PostcallSpoolFilling", "PostcallSpoolNotDraining")
def the_spool_is_filling(day):
    day.gauge("postcall_spool_webhooks{}", 60_000, AT)


@fault("PostcallSettlementsPending")
def results_wait_for_the_store(day):
    day.gauge("postcall_settlements_pending{}", 3, AT)


@fault("PostcallSubmissionsCorrupt")
def a_row_was_changed_on_disk(day):
    day.gauge('postcall_submissions_dead_total{survey="quality",reason="corrupt"}', 1, AT)


@fault("PostcallWebhooksUnavailable", after=5.75)
def webhooks_are_answered_503(day):
    day.events(UNAVAILABLE, day.per_day, AT)


@fault("PostcallWebhooksAllRejected", after=5.75)
def every_webhook_is_rejected_because_the_token_was_rotated_a_day_ago(day):
    for name in [ACCEPTED, 'postcall_webhooks_total{source="ivr",outcome="duplicate"}', REJECTED, MISMATCH]:
        day.series[name] = [0] * day.steps
    day.events(REJECTED, 10, 2)
    day.events(MISMATCH, 10, 2)


@fault("PostcallQuarantineSourceChanged", then=1.25)
def quarantined_webhooks_are_verified_and_their_source_has_another_survey(day):
    day.once(SOURCE_CHANGED, AT, 3)
    day.gauge(QUARANTINED, 3, AT, AT + 1)
    day.gauge(QUARANTINED, 0, AT + 1)


@fault("PostcallWebhooksAmbiguous")
def webhooks_could_be_read_in_two_ways(day):
    day.once(SHIFTED, AT)
    day.once('postcall_webhooks_total{source="ivr",outcome="malformed"}', AT)


@fault("PostcallWebhooksExcess", then=2)
def a_sender_repeats_itself(day):
    day.once('postcall_webhooks_total{source="ivr",outcome="excess"}', AT, 8)


@fault("PostcallWebhooksSlow", after=5.75)
def webhooks_take_three_seconds(day):
    day.stop(WITHIN_2S, AT - 8)


@fault("PostcallSourceSilent", after=5.75)
def a_source_with_a_limit_is_silent(day):
    day.gauge('postcall:source_silence_limit:seconds{source="ivr"}', 4 * 3600)
    day.stop(LAST, AT)
    day.stop(ACCEPTED, AT)


@fault("PostcallAccountRejected")
def plivo_rejects_the_token(day):
    day.gauge(paused("account_rejected"), 1, AT)


@fault("PostcallAccountRejections")
def plivo_rejects_most_submissions(day):
    day.gauge(paused("rejections"), 1, AT)


@fault("PostcallAccountUnreachable", then=2)
def plivo_cannot_be_reached_for_an_hour(day):
    day.gauge(paused("unreachable"), 1, AT, AT + 1)


@fault("PostcallAccountPausedByOperator", after=5)
def an_operator_forgets_a_pause(day):
    day.gauge(paused("operator"), 1, AT - 8)


@fault("PostcallSourceRejected", then=3)
def submissions_of_a_source_are_set_aside(day):
    day.once('postcall_submissions_set_aside_total{source="ivr"}', AT + 0.3, 6)


@fault("PostcallSubmissionsDead", after=4.5)
def dead_submissions_are_left(day):
    day.gauge(submissions("dead"), 1, AT)
    day.gauge(submissions("discarded"), 0, AT)


@fault("PostcallDeliveryLate")
def deliveries_do_not_begin(day):
    day.gauge(overdue("waiting"), lambda age: age + 40, AT)


@fault("PostcallResultsUnknown", after=5.75)
def many_attempts_get_no_response(day):
    day.events(attempts("unknown_result"), day.per_day, AT - 4)
    day.stop(attempts("accepted"), AT)


@fault("PostcallRatingsFell", after=5)
def callers_rate_a_survey_with_a_minimum_lower(day):
    day.gauge('postcall:rating_minimum:stars{survey="quality"}', 3.5)
    day.series[STARS] = [0] * day.steps
    # A day has too few ratings at ten a day; the week so far has 20 in the end.
    day.events(STARS, day.per_day * (4 if day.is_busy else 2), 0, AT - 24)
    day.events(STARS, day.per_day * 2, AT - 24)
    if not day.is_busy:
        day.once(RATINGS, 0.1, 10)
        day.once(STARS, 0.1, 20)


@fault("PostcallSettingsRejected")
def an_edit_is_invalid(day):
    day.gauge("postcall_settings_last_reload_successful{}", 0, AT)


@fault("PostcallSettingsStale")
def the_file_was_invalid_at_the_start(day):
    day.gauge("postcall_settings_stale{}", 1, AT)


# --- what differs by rate


@fault("PostcallWebhooksAllRejected", "PostcallSignaturesRejected", rate=MANY)
def every_webhook_of_a_busy_source_is_rejected_now(day):
    for name in [ACCEPTED, 'postcall_webhooks_total{source="ivr",outcome="duplicate"}']:
        day.stop(name, AT)
    day.events(REJECTED, MANY, AT)
    day.events(MISMATCH, MANY, AT)


@fault("PostcallWebhooksAllRejected", after=1.25, rate=HOURLY)
def every_webhook_of_a_source_is_rejected_for_an_hour(day):
    for name in [ACCEPTED, 'postcall_webhooks_total{source="ivr",outcome="duplicate"}']:
        day.stop(name, AT)
    day.events(REJECTED, HOURLY, AT)
    day.events(MISMATCH, HOURLY, AT)


@fault(after=2, rate=HOURLY)
def a_stranger_tries_a_source_while_its_webhooks_are_spooled(day):
    for name in [ACCEPTED, 'postcall_webhooks_total{source="ivr",outcome="duplicate"}']:
        day.stop(name, AT)
    day.events('postcall_webhooks_total{source="ivr",outcome="spooled"}', HOURLY, AT)
    day.events(REJECTED, 120, AT)
    day.events(MISMATCH, 120, AT)


@fault(after=2, rate=HOURLY)
def a_stranger_tries_a_source_at_night(day):
    for name in [ACCEPTED, 'postcall_webhooks_total{source="ivr",outcome="duplicate"}']:
        day.stop(name, AT)
    day.once(REJECTED, AT + 1, 2)
    day.once(MISMATCH, AT + 1, 2)


@fault("PostcallSignaturesRejected", rate=MANY)
def a_third_of_the_signatures_do_not_verify(day):
    day.events(REJECTED, MANY / 2, AT)
    day.events(MISMATCH, MANY / 2, AT)


@fault("PostcallSignaturesRejected", after=0.25, rate=FEW)
def an_attacker_tries_signatures_at_a_quiet_source(day):
    day.events(REJECTED, 14_400, AT, AT + 0.5)
    day.events(MISMATCH, 14_400, AT, AT + 0.5)


@fault(after=5.75, rate=FEW)
def two_rejected_webhooks_of_a_quiet_source(day):
    day.once(REJECTED, AT)
    day.once(MISMATCH, AT)


@fault("PostcallDeliveryBudgetBurning", "PostcallDeliveryBudgetSpent", after=5.75, step=1, rate=MANY)
def a_fifth_of_a_busy_day_is_not_delivered_on_time(day):
    day.events(MISSED, MANY / 4, AT)


@fault("PostcallDeliveryBudgetSpent", after=5.75, rate=MANY)
def a_tenth_of_a_busy_day_is_not_delivered_on_time(day):
    day.events(MISSED, MANY / 9, AT)


@fault("PostcallDeliveryBudgetSpent", after=5, rate=FEW)
def three_of_ten_are_not_delivered_on_time(day):
    for n in range(3):
        day.once(MISSED, AT + n)


@fault(after=5.75, rate=FEW)
def two_of_ten_are_not_delivered_on_time(day):
    day.once(MISSED, AT)
    day.once(MISSED, AT + 3)


@fault("PostcallDeliveryBudgetBurning", "PostcallDeliveryBudgetSpent", after=0.75, step=1, rate=FEW)
def a_quiet_account_gets_a_batch_that_is_late(day):
    day.events(MISSED, 1440, AT)


def groups(rates):
    for per_day in rates:
        quiet = {float(hour): [] for hour in range(1, HOURS)}
        yield Day(per_day).test(f"any day, {RATES[per_day]}", quiet)
        for function, alerts, after, step, then, rate in FAULTS:
            # What is tested at ten an hour alone is with the few.
            if rate in (None, per_day) or (rate == HOURLY and per_day == FEW):
                day = Day(rate or per_day, step)
                function(day)
                expected = {AT + after: alerts}
                if then:
                    expected[AT + then] = []
                yield day.test(f"{function.__name__.replace('_', ' ')}, {RATES[day.per_day]}", expected)


def main(rules, *rates):
    with open(rules, encoding="utf-8") as text:
        alerts = {line.split()[-1] for line in text if line.strip().startswith("- alert:")}
    for per_day in [int(rate) for rate in rates]:
        tested = {alert for _, names, *_, rate in FAULTS for alert in names if rate in (None, per_day)}
        if alerts != tested:
            raise SystemExit(f"{RATES[per_day]}: without a fault {alerts - tested}, unknown {tested - alerts}")
    tests = list(groups(int(rate) for rate in rates))
    print(json.dumps({"rule_files": [rules], "evaluation_interval": "15m", "tests": tests}))


if __name__ == "__main__":
    main(*sys.argv[1:])
