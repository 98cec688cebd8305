//! Moments in log lines, as Java shows them.

/// A moment as `java.util.Date#toString` shows it, with the offset for the zone: `Sun Nov 22 20:15:00 +01:00 2026`.
pub(super) fn java_date(millis: i64, offset_seconds: i32) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let seconds = millis.div_euclid(1000) + i64::from(offset_seconds);
    let days = seconds.div_euclid(86_400);
    let time = seconds.rem_euclid(86_400);
    // Civil date from a day count, by the 400-year cycle that begins in March.
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month_index = ((month + 2) % 12) as usize;
    let year = year_of_era + era * 400 + i64::from(month >= 10);
    let zone = match offset_seconds {
        0 => "UTC".to_owned(),
        offset => format!("{:+03}:{:02}", offset / 3600, offset.abs() % 3600 / 60),
    };
    format!(
        "{} {} {day:02} {:02}:{:02}:{:02} {zone} {year}",
        DAYS[days.rem_euclid(7) as usize],
        MONTHS[month_index],
        time / 3600,
        time % 3600 / 60,
        time % 60
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_shown_as_java_shows_them() {
        for (millis, offset, expected) in [
            (0, 0, "Thu Jan 01 00:00:00 UTC 1970"),
            (951_782_400_000, 0, "Tue Feb 29 00:00:00 UTC 2000"),
            (1_795_378_500_000, 3600, "Sun Nov 22 21:15:00 +01:00 2026"),
            (-1000, 0, "Wed Dec 31 23:59:59 UTC 1969"),
        ] {
            assert_eq!(java_date(millis, offset), expected);
        }
    }
}
