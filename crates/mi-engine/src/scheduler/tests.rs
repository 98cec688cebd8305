use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, NaiveDateTime};

use super::{Cron, Schedule, Timetable};
use crate::inbound::testing::{TestClock, engine_of, notes};
use crate::inbound::{Phase, RunningInbounds, Switch};
use crate::services::Clock;

fn millis(text: &str) -> i64 {
    NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S").unwrap().and_utc().timestamp_millis()
}

fn shown(millis: i64) -> String {
    DateTime::from_timestamp_millis(millis).unwrap().format("%Y-%m-%d %H:%M:%S").to_string()
}

fn next_times(expression: &str, after: &str, offsets: &[(i64, i32)], count: usize) -> Vec<String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let _entered = runtime.enter();
    let clock = TestClock::at(0, offsets);
    let cron = Cron::parse(expression).unwrap();
    let mut at = millis(after);
    let mut times = Vec::new();
    while times.len() < count
        && let Some(next) = cron.next_after(at, &clock)
    {
        assert!(next > at, "{expression}");
        times.push(shown(next));
        at = next;
    }
    times
}

/// The next times in UTC, after a moment.
#[track_caller]
fn check(expression: &str, after: &str, expected: &[&str]) {
    assert_eq!(next_times(expression, after, &[], expected.len()), expected, "{expression}");
}

#[test]
fn seconds_minutes_and_hours() {
    check("* * * * * ?", "2024-01-01 00:00:00", &["2024-01-01 00:00:01", "2024-01-01 00:00:02"]);
    check("0/5 * * * * ?", "2024-01-01 00:00:57", &["2024-01-01 00:01:00", "2024-01-01 00:01:05"]);
    check("*/20 * * * * ?", "2024-01-01 00:00:00", &["2024-01-01 00:00:20", "2024-01-01 00:00:40"]);
    check("/20 * * * * ?", "2024-01-01 00:00:30", &["2024-01-01 00:00:40", "2024-01-01 00:01:00"]);
    check("0 0/2 * * * ?", "2024-01-01 23:59:00", &["2024-01-02 00:00:00", "2024-01-02 00:02:00"]);
    check("0 0 12 * * ?", "2024-01-01 12:00:00", &["2024-01-02 12:00:00", "2024-01-03 12:00:00"]);
    check("0 15 10 ? * *", "2024-01-01 10:14:59", &["2024-01-01 10:15:00", "2024-01-02 10:15:00"]);
    check("0 0/5 14,18 * * ?", "2024-01-01 14:52:00", &["2024-01-01 14:55:00", "2024-01-01 18:00:00"]);
    check("0 0-5 14 * * ?", "2024-01-01 14:04:30", &["2024-01-01 14:05:00", "2024-01-02 14:00:00"]);
    check("30 10-50/20 6 * * ?", "2024-01-01 06:10:30", &["2024-01-01 06:30:30", "2024-01-01 06:50:30"]);
    check(
        "0 0 22-2 * * ?",
        "2024-01-01 01:00:00",
        &["2024-01-01 02:00:00", "2024-01-01 22:00:00", "2024-01-01 23:00:00"],
    );
    check(
        "0 0 20/3 * * ?",
        "2024-01-01 00:00:00",
        &["2024-01-01 20:00:00", "2024-01-01 23:00:00", "2024-01-02 20:00:00"],
    );
}

#[test]
fn days_of_the_month() {
    check("0 0 0 31 * ?", "2024-01-31 00:00:00", &["2024-03-31 00:00:00", "2024-05-31 00:00:00"]);
    check("0 0 0 29 2 ?", "2024-03-01 00:00:00", &["2028-02-29 00:00:00", "2032-02-29 00:00:00"]);
    check("0 0 0 29 2 ?", "2096-03-01 00:00:00", &["2104-02-29 00:00:00"]);
    check("0 0 0 L * ?", "2023-01-31 00:00:00", &["2023-02-28 00:00:00", "2023-03-31 00:00:00", "2023-04-30 00:00:00"]);
    check("0 0 0 L-3 * ?", "2024-02-01 00:00:00", &["2024-02-26 00:00:00", "2024-03-28 00:00:00"]);
    // 1 June 2024 is a Saturday, 30 June a Sunday, 15 June a Saturday.
    check("0 0 0 1W 6 ?", "2024-01-01 00:00:00", &["2024-06-03 00:00:00"]);
    check("0 0 0 15W 6 ?", "2024-01-01 00:00:00", &["2024-06-14 00:00:00"]);
    check("0 0 0 16W 6 ?", "2024-01-01 00:00:00", &["2024-06-17 00:00:00"]);
    check("0 0 0 LW 6 ?", "2024-01-01 00:00:00", &["2024-06-28 00:00:00"]);
    check("0 0 0 1,L 2 ?", "2024-01-01 00:00:00", &["2024-02-01 00:00:00", "2024-02-29 00:00:00"]);
    check(
        "0 0 0 1/10 1 ?",
        "2024-01-01 00:00:00",
        &["2024-01-11 00:00:00", "2024-01-21 00:00:00", "2024-01-31 00:00:00"],
    );
}

#[test]
fn days_of_the_week() {
    check("0 0 9 ? * MON-FRI", "2024-06-07 09:00:00", &["2024-06-10 09:00:00", "2024-06-11 09:00:00"]);
    check(
        "0 0 9 ? * FRI-MON",
        "2024-06-03 09:00:00",
        &["2024-06-07 09:00:00", "2024-06-08 09:00:00", "2024-06-09 09:00:00", "2024-06-10 09:00:00"],
    );
    check("0 0 9 ? * 1", "2024-06-03 00:00:00", &["2024-06-09 09:00:00"]);
    check("0 0 9 ? * L", "2024-06-03 00:00:00", &["2024-06-08 09:00:00"]);
    check("0 15 10 ? * 6L", "2024-06-01 00:00:00", &["2024-06-28 10:15:00", "2024-07-26 10:15:00"]);
    check("0 15 10 ? * friL", "2024-06-01 00:00:00", &["2024-06-28 10:15:00"]);
    check("0 15 10 ? * 6#3", "2024-06-01 00:00:00", &["2024-06-21 10:15:00", "2024-07-19 10:15:00"]);
    check("0 0 0 ? * 2#5", "2024-06-01 00:00:00", &["2024-07-29 00:00:00", "2024-09-30 00:00:00"]);
    check("0 0 0 ? JAN,jul SUN", "2024-01-28 00:00:00", &["2024-07-07 00:00:00"]);
}

#[test]
fn years_end() {
    check("0 0 0 1 1 ? 2024-2026", "2024-06-01 00:00:00", &["2025-01-01 00:00:00", "2026-01-01 00:00:00"]);
    assert_eq!(next_times("0 0 0 1 1 ? 2024,2025", "2024-06-01 00:00:00", &[], 9), ["2025-01-01 00:00:00"]);
    assert!(next_times("0 0 0 30 2 ?", "2024-01-01 00:00:00", &[], 1).is_empty());
    assert!(next_times("0 0 0 1 1 ? 1999", "2024-01-01 00:00:00", &[], 1).is_empty());
}

/// Berlin in 2024: an hour ahead of UTC in winter, two in summer.
fn berlin() -> Vec<(i64, i32)> {
    vec![(i64::MIN, 3600), (millis("2024-03-31 01:00:00"), 7200), (millis("2024-10-27 01:00:00"), 3600)]
}

#[test]
fn summer_time() {
    let check = |expression: &str, after: &str, expected: &[&str]| {
        assert_eq!(next_times(expression, after, &berlin(), expected.len()), expected, "{expression}");
    };
    // 02:30 does not exist on 31 March: it comes at 03:30, which is 01:30 UTC.
    check(
        "0 30 2 * * ?",
        "2024-03-30 00:00:00",
        &["2024-03-30 01:30:00", "2024-03-31 01:30:00", "2024-04-01 00:30:00"],
    );
    // 02:30 comes twice on 27 October: the second time counts.
    check(
        "0 30 2 * * ?",
        "2024-10-26 00:00:00",
        &["2024-10-26 00:30:00", "2024-10-27 01:30:00", "2024-10-28 01:30:00"],
    );
    // Every half hour stays every half hour.
    let spring = ["2024-03-31 00:30:00", "2024-03-31 01:00:00", "2024-03-31 01:30:00", "2024-03-31 02:00:00"];
    check("0 0/30 * * * ?", "2024-03-31 00:00:00", &spring);
    let autumn = [
        "2024-10-27 00:00:00",
        "2024-10-27 00:30:00",
        "2024-10-27 01:00:00",
        "2024-10-27 01:30:00",
        "2024-10-27 02:00:00",
        "2024-10-27 02:30:00",
    ];
    check("0 0/30 * * * ?", "2024-10-26 23:30:00", &autumn);
    check("0 0 0 * * ?", "2024-03-30 22:00:00", &["2024-03-30 23:00:00", "2024-03-31 22:00:00"]);
}

#[test]
fn every_time_fits_its_expression_and_none_is_left_out() {
    // Against a search second by second over two days around the end of a month.
    let start = millis("2024-02-28 00:00:00");
    for (expression, fits) in [
        (
            "0 0 */7 28-29 2 ?",
            Box::new(|t: DateTime<chrono::Utc>| {
                t.format("%M:%S").to_string() == "00:00" && t.format("%H").to_string().parse::<u32>().unwrap() % 7 == 0
            }) as Box<dyn Fn(DateTime<chrono::Utc>) -> bool>,
        ),
        ("15,45 59 * ? * WED,THU", Box::new(|t| ["59:15", "59:45"].contains(&t.format("%M:%S").to_string().as_str()))),
    ] {
        let expected: Vec<String> = (1..172_800)
            .map(|second| start + second * 1000)
            .filter(|at| fits(DateTime::from_timestamp_millis(*at).unwrap()))
            .map(shown)
            .collect();
        assert_eq!(next_times(expression, "2024-02-28 00:00:00", &[], expected.len()), expected, "{expression}");
    }
}

#[test]
fn expressions_that_are_refused() {
    for (expression, part) in [
        ("", "0 fields"),
        ("0 0 12 * *", "5 fields"),
        ("0 0 12 * * ? * *", "8 fields"),
        ("0 0 12 * * *", "must be '?'"),
        ("0 0 12 ? * ?", "not for both"),
        ("60 0 12 * * ?", "'60' is no value for seconds"),
        ("0 0 24 * * ?", "'24' is no value for hours"),
        ("0 0 12 0 * ?", "'0' is no value for day-of-month"),
        ("0 0 12 32 * ?", "'32'"),
        ("0 0 12 * 13 ?", "'13' is no value for month"),
        ("0 0 12 ? * 8", "'8' is no value for day-of-week"),
        ("0 0 12 ? * MOO", "'MOO'"),
        ("0 0 12 ? * 2#6", "a week from 1 to 5"),
        ("0 0/0 12 * * ?", "increment 0"),
        ("0 0/99 12 * * ?", "increment 99"),
        ("0 a 12 * * ?", "'a'"),
        ("0 -1 12 * * ?", "''"),
        ("0 1- 12 * * ?", "''"),
        ("0 +1 12 * * ?", "'+1'"),
        ("0 , 12 * * ?", "''"),
        ("0 0 12 L-31 * ?", "up to 30"),
        ("0 0 12 LX * ?", "'LX'"),
        ("0 0 12 * * ? 2030-2020", "wrong order"),
        ("0 0 12 * * ? 1969", "'1969'"),
    ] {
        let error = Cron::parse(expression).expect_err(expression);
        assert!(error.contains(part), "{expression}: {error}");
    }
    assert!(Cron::parse(&"0,".repeat(1000)).is_err());
}

/// Runs a schedule for a while; the seconds at which it is due, when each run takes a number of seconds.
async fn runs(schedule: &Schedule, takes: u64, until: u64) -> Vec<u64> {
    let clock = TestClock::at(millis("2024-01-01 00:00:00"), &[]);
    let (_switch, control) = Switch::new(Phase::Running);
    let began = clock.now_millis();
    let mut timetable = Timetable::start(schedule, &clock);
    let mut seconds = Vec::new();
    let all = async {
        while timetable.wait(&clock, &control).await.is_some() {
            seconds.push(u64::try_from(clock.now_millis() - began).unwrap() / 1000);
            tokio::time::sleep(Duration::from_secs(takes)).await;
            timetable.ran(&clock);
        }
    };
    drop(tokio::time::timeout(Duration::from_secs(until), all).await);
    seconds
}

fn every(seconds: u64, count: Option<u64>) -> Schedule {
    Schedule::Interval { every: Duration::from_secs(seconds), count }
}

fn cron(text: &str) -> Schedule {
    Schedule::Cron(Box::new(Cron::parse(text).unwrap()))
}

#[tokio::test(start_paused = true)]
async fn runs_keep_their_times_and_never_overlap() {
    assert_eq!(runs(&every(10, None), 0, 35).await, [0, 10, 20, 30]);
    assert_eq!(runs(&every(10, Some(3)), 0, 100).await, [0, 10, 20]);
    assert_eq!(runs(&every(10, Some(1)), 0, 100).await, [0]);
    assert!(runs(&every(10, Some(0)), 0, 100).await.is_empty());
    // A run that is late comes at once, and then the distance is kept again.
    assert_eq!(runs(&every(10, None), 12, 59).await, [0, 12, 24, 36, 48]);
    assert_eq!(runs(&every(10, None), 45, 150).await, [0, 45, 90, 135]);
    assert_eq!(runs(&cron("0/10 * * * * ?"), 0, 35).await, [10, 20, 30]);
    // What is due during a run is left out.
    assert_eq!(runs(&cron("0/10 * * * * ?"), 15, 69).await, [10, 30, 50]);
}

#[tokio::test(start_paused = true)]
async fn missed_runs_are_not_made_up_for() {
    let base = millis("2024-01-01 00:00:00");
    for (schedule, expected) in [(cron("0 * * * * ?"), [60, 720]), (every(60, None), [0, 630])] {
        let clock = Arc::new(TestClock::at(base, &[]));
        let (_switch, control) = Switch::new(Phase::Running);
        let mut timetable = Timetable::start(&schedule, &*clock);
        timetable.wait(&*clock, &control).await.unwrap();
        let first = (clock.now_millis() - base) / 1000;
        timetable.ran(&*clock);
        // The machine stands still for ten minutes.
        tokio::time::sleep(Duration::from_secs(30)).await;
        *clock.jumped.lock().unwrap() += 600_000;
        timetable.wait(&*clock, &control).await.unwrap();
        assert_eq!([first, (clock.now_millis() - base) / 1000], expected);
        timetable.ran(&*clock);
        assert!(timetable.due().unwrap() > clock.now_millis() - 1, "one late run at most");
        timetable.wait(&*clock, &control).await.unwrap();
        assert_eq!((clock.now_millis() - base) / 1000, expected[1] + 60);
    }
}

#[tokio::test(start_paused = true)]
async fn a_stop_ends_the_waiting_and_a_pause_skips_cron_times() {
    let clock = TestClock::at(millis("2024-01-01 00:00:00"), &[]);
    let schedule = cron("0 0 * * * ?");
    let (switch, control) = Switch::new(Phase::Paused);
    let mut timetable = Timetable::start(&schedule, &clock);
    let due = timetable.due();
    let waiting = timetable.wait(&clock, &control);
    assert!(tokio::time::timeout(Duration::from_hours(2), waiting).await.is_err());
    switch.set(Phase::Running);
    timetable.wait(&clock, &control).await.unwrap();
    assert!(timetable.due() > due.map(|due| due + 3_600_000));
    switch.set(Phase::Stopped);
    assert!(timetable.wait(&clock, &control).await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_slow_task_runs_again_when_it_is_done() {
    let task =
        "<task name='t' class='counting'><trigger interval='10' count='3'/><property name='takes' value='25'/></task>";
    let running = RunningInbounds::start_all(&engine_of(&[task]), Vec::new());
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert_eq!(notes(), ["t runs", "t runs"]);
    tokio::time::sleep(Duration::from_mins(5)).await;
    assert_eq!(notes().len(), 3);
    assert_eq!(running.list()[0].gauge.counts()[0], 3);
    assert_eq!(running.stop(Duration::ZERO).await, 0);
}

#[tokio::test(start_paused = true)]
async fn a_task_that_may_overlap_keeps_its_times() {
    let task = "<task name='t' class='counting'><trigger interval='10' count='4'/><property name='takes' value='25'/>\
                <property name='overlaps' value='true'/></task>";
    let running = RunningInbounds::start_all(&engine_of(&[task]), Vec::new());
    tokio::time::sleep(Duration::from_secs(21)).await;
    assert_eq!(notes().len(), 3, "at 0, 10 and 20 s, and none has ended");
    assert_eq!(running.list()[0].gauge.counts()[0], 0);
    // The end waits for what is under way, and nothing begins any more.
    assert_eq!(running.stop(Duration::from_mins(1)).await, 0);
    assert_eq!(notes().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_task_that_is_triggered_runs_beside_its_schedule_and_is_waited_for() {
    let task =
        "<task name='t' class='counting'><trigger cron='0 0 0 1 1 ? 2099'/><property name='takes' value='25'/></task>";
    let running = RunningInbounds::start_all(&engine_of(&[task]), Vec::new());
    assert!(running.trigger("other").is_none());
    tokio::time::sleep(Duration::from_mins(1)).await;
    assert!(notes().is_empty());
    assert_eq!(running.trigger("t"), Some(Ok(())));
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!((notes(), running.list()[0].gauge.counts()[0]), (vec!["t runs".to_owned()], 0));
    assert!(running.set_running("task", "t", Phase::Paused));
    assert_eq!(running.trigger("t"), Some(Err("Cannot trigger the task: t as it is not active.".to_owned())));
    let gauge = running.list()[0].gauge.clone();
    assert_eq!(running.stop(Duration::from_mins(1)).await, 0);
    assert_eq!(gauge.counts()[0], 1, "the end waits for it");
}
