//! After how long a simulated container ends by itself, and how: read off its command, of which the little is understood that says so. Pure functions.
use std::time::Duration;

/// How a container ends by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ending {
    /// So long after its start.
    pub after: Duration,
    /// With this exit code.
    pub code: i32,
}

/// How a container with this command ends: `true`, `false`, `sleep 5` and, in a shell, some of them in a row and `exit 3`. Any other runs until it is stopped.
pub fn ending(command: &[String]) -> Option<Ending> {
    let shell = |word: &String| matches!(word.rsplit('/').next(), Some("sh" | "bash" | "ash"));
    match command {
        [program, flag, script, ..] if shell(program) && flag == "-c" => of_script(script),
        _ => match step(&command.iter().map(String::as_str).collect::<Vec<_>>())? {
            Step::Waits(after) => Some(Ending { after, code: 0 }),
            Step::Gives(code) | Step::Exits(code) => Some(Ending { after: Duration::ZERO, code }),
        },
    }
}

/// What one command does.
enum Step {
    Waits(Duration),
    Gives(i32),
    Exits(i32),
}

fn step(words: &[&str]) -> Option<Step> {
    match words {
        ["true" | "/bin/true"] | ["echo", ..] => Some(Step::Gives(0)),
        ["false" | "/bin/false"] => Some(Step::Gives(1)),
        ["sleep" | "/bin/sleep", seconds] => Duration::try_from_secs_f64(seconds.trim_end_matches('s').parse().ok()?).ok().map(Step::Waits),
        ["exit"] => Some(Step::Exits(0)),
        ["exit", code] => Some(Step::Exits(code.parse::<u8>().ok()?.into())),
        _ => None,
    }
}

fn of_script(script: &str) -> Option<Ending> {
    let mut end = Ending { after: Duration::ZERO, code: 0 };
    for command in script.replace("&&", ";").split([';', '\n']) {
        let words: Vec<&str> = command.split_whitespace().collect();
        match step(&words) {
            None if words.is_empty() => {}
            None => return None,
            Some(Step::Waits(span)) => (end.after, end.code) = (end.after.saturating_add(span), 0),
            Some(Step::Gives(code)) => end.code = code,
            Some(Step::Exits(code)) => return Some(Ending { code, ..end }),
        }
    }
    Some(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_that_end() {
        for (command, expected) in [
            (vec!["true"], Some((0, 0))),
            (vec!["/bin/false"], Some((0, 1))),
            (vec!["sleep", "1.5"], Some((1_500, 0))),
            (vec!["sh", "-c", "sleep 2; exit 3"], Some((2_000, 3))),
            (vec!["/bin/sh", "-c", "echo hello && sleep 1\nfalse"], Some((1_000, 1))),
            (vec!["sh", "-c", "exit 0; sleep 5"], Some((0, 0))),
            (vec!["sh", "-c", "while true; do sleep 1; done"], None),
            (vec!["sleep", "infinity"], None),
            (vec!["sleep", "-1"], None),
            (vec!["sh", "-c", "exit 300"], None),
            (vec!["serve"], None),
            (vec![], None),
        ] {
            let command: Vec<String> = command.into_iter().map(str::to_owned).collect();
            let expected = expected.map(|(ms, code)| Ending { after: Duration::from_millis(ms), code });
            assert_eq!(ending(&command), expected, "{command:?}");
        }
    }
}
