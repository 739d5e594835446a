//! Texts that name indexes of a job: `0,2-4`.

/// How many indexes a text names, all of them below `completions`.
pub(super) fn count(indexes: &str, completions: i64) -> Result<i64, String> {
    let (mut count, mut last) = (0, None);
    if indexes.is_empty() {
        return Ok(count);
    }
    for interval in indexes.split(',') {
        let (from, to) = parse(interval, completions)?;
        if let Some(last) = last.filter(|last| *last >= from) {
            return Err(format!("non-increasing order, previous: {last}, current: {from}"));
        }
        count += to - from + 1;
        last = Some(to);
    }
    Ok(count)
}

/// The first index that both texts name. What has a wrong form is refused elsewhere.
pub(super) fn shared(one: &str, other: &str, completions: i64) -> Option<i64> {
    let intervals = |text: &str| text.split(',').filter_map(|interval| parse(interval, completions).ok()).collect::<Vec<_>>();
    let (one, other) = (intervals(one), intervals(other));
    let (mut i, mut j) = (0, 0);
    while let (Some(a), Some(b)) = (one.get(i), other.get(j)) {
        if a.0 <= b.1 && b.0 <= a.1 {
            return Some(a.0.max(b.0));
        }
        if a.0 <= b.0 {
            i += 1;
        } else {
            j += 1;
        }
    }
    None
}

/// The ends of one interval.
fn parse(interval: &str, completions: i64) -> Result<(i64, i64), String> {
    let index = |text: &str| match text.parse::<i64>() {
        Err(_) => Err(format!("cannot convert string to integer for index: {text:?}")),
        Ok(index) if index >= completions => Err(format!("too large index: {text:?}")),
        Ok(index) => Ok(index),
    };
    let mut ends = interval.split('-');
    let (from, to, more) = (ends.next().unwrap_or_default(), ends.next(), ends.next());
    if more.is_some() {
        return Err(format!("the fragment {interval:?} violates the requirement that an index interval can have at most two parts separated by '-'"));
    }
    let from = index(from)?;
    let to = to.map_or(Ok(from), index)?;
    if to <= from && interval.contains('-') { Err(format!("non-increasing order, previous: {from}, current: {to}")) } else { Ok((from, to)) }
}
