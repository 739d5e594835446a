//! Figures: percentiles, what processes used, tables.
use serde_json::{Map, Value, json};

/// A figure with so many decimals.
pub fn rounded(x: f64, decimals: i32) -> f64 {
    let unit = 10f64.powi(decimals);
    (x * unit).round() / unit
}

/// Percentiles of milliseconds; null without any.
pub fn percentiles(mut ms: Vec<f64>) -> Value {
    ms.sort_by(f64::total_cmp);
    let at = |share: f64| ms.get(((ms.len().saturating_sub(1)) as f64 * share) as usize).map(|x| rounded(*x, 2));
    json!({"p50_ms": at(0.5), "p90_ms": at(0.9), "p99_ms": at(0.99), "max_ms": at(1.0), "n": ms.len()})
}

/// CPU seconds that processes have used so far, all together, and what each holds in memory in MiB, by `name:pid`.
pub fn usage(pids: &[u32]) -> (f64, Value) {
    let (mut cpu, mut resident) = (0.0, Map::new());
    for pid in pids {
        let read = |file: &str| std::fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_default();
        // user and system time are the 14th and 15th field; the 2nd, the name, may hold spaces
        let stat = read("stat");
        let after_name = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
        let ticks: f64 = after_name.skip(11).take(2).filter_map(|t| t.parse::<f64>().ok()).sum();
        cpu += ticks / 100.0;
        let status = read("status");
        let kib = status.lines().find_map(|l| l.strip_prefix("VmRSS:")?.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or_default();
        resident.insert(format!("{}:{pid}", read("comm").trim()), json!(kib / 1024));
    }
    (cpu, Value::Object(resident))
}

/// CPU seconds that all processes of the machine have used so far.
pub fn machine_cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/stat").unwrap_or_default();
    let fields: Vec<f64> = stat.lines().next().unwrap_or_default().split_whitespace().skip(1).filter_map(|t| t.parse().ok()).collect();
    // user, nice, system, idle, iowait, irq, softirq
    [0, 1, 2, 5, 6].iter().filter_map(|i| fields.get(*i)).sum::<f64>() / 100.0
}

/// Lines with the same keys as a table; only the columns named.
pub fn table(lines: &[Value], columns: &[&str]) -> String {
    let cell = |line: &Value, column: &str| match line.get(column) {
        Some(Value::String(text)) => text.clone(),
        Some(value) => value.to_string(),
        None => String::new(),
    };
    let mut rows: Vec<Vec<String>> = vec![columns.iter().map(|c| (*c).to_owned()).collect()];
    rows.extend(lines.iter().map(|line| columns.iter().map(|c| cell(line, c)).collect()));
    let width = |at: usize| rows.iter().filter_map(|r| r.get(at)).map(String::len).max().unwrap_or_default();
    let widths: Vec<usize> = (0..columns.len()).map(width).collect();
    let print = |row: &Vec<String>| row.iter().zip(&widths).map(|(text, width)| format!("{text:<width$}")).collect::<Vec<_>>().join("  ");
    rows.iter().map(print).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_of_none_one_and_many() {
        assert_eq!(percentiles(Vec::new())["p50_ms"], Value::Null);
        assert_eq!(percentiles(vec![3.0])["p99_ms"], 3.0);
        let many = percentiles((0..=100).rev().map(f64::from).collect());
        assert_eq!((many["p50_ms"].as_f64(), many["p99_ms"].as_f64(), many["max_ms"].as_f64()), (Some(50.0), Some(99.0), Some(100.0)));
    }

    #[test]
    fn a_table_lines_up() {
        let lines = [json!({"load": "plain", "n": 5}), json!({"load": "x", "n": 10})];
        assert_eq!(table(&lines, &["load", "n"]), "load   n \nplain  5 \nx      10");
    }

    #[test]
    fn this_process_uses_memory() {
        let (_, resident) = usage(&[std::process::id()]);
        assert!(resident.as_object().is_some_and(|m| m.values().all(|v| v.as_u64() > Some(0))));
    }
}
