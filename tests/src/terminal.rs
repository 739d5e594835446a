//! A program on a terminal of its own: what `kubectl exec -it` and `kubectl attach -it` need.
use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use std::fs::File;
use std::io::{Read, Write};
use std::process::{Child, Command, ExitStatus};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// A terminal with a program on it.
#[derive(Debug)]
pub struct Terminal {
    screen: File,
    program: Child,
    pieces: Receiver<Vec<u8>>,
    shown: String,
}

impl Terminal {
    /// Starts a program on a terminal of this size.
    ///
    /// # Panics
    /// When the kernel gives no terminal, or the program can't be started.
    pub fn start(command: &Command, columns: u16, rows: u16) -> Self {
        let screen = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&screen).unwrap();
        unlockpt(&screen).unwrap();
        let name = ptsname(&screen, Vec::new()).unwrap();
        let line = File::from(rustix::fs::open(name, OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty()).unwrap());
        let screen = File::from(screen);
        tcsetwinsize(&screen, Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
        let mut program = Command::new("setsid");
        program.arg("--ctty").arg(command.get_program()).args(command.get_args());
        program.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let program = program.stdin(line.try_clone().unwrap()).stdout(line.try_clone().unwrap()).stderr(line).spawn().unwrap();
        let (sender, pieces) = channel();
        let mut reader = screen.try_clone().unwrap();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            // the other end's last close is an error here, not an end
            while let Ok(n) = reader.read(&mut buffer) {
                if n == 0 || sender.send(buffer[..n].to_vec()).is_err() {
                    return;
                }
            }
        });
        Self { screen, program, pieces, shown: String::new() }
    }

    /// Types.
    ///
    /// # Panics
    /// When the terminal is gone.
    pub fn type_in(&mut self, text: &str) {
        self.screen.write_all(text.as_bytes()).unwrap();
    }

    /// Changes the window's size.
    ///
    /// # Panics
    /// When the terminal is gone.
    pub fn resize(&self, columns: u16, rows: u16) {
        tcsetwinsize(&self.screen, Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
    }

    /// Reads for at most so long, until `text` is shown; whether it is. What was shown up to it is forgotten.
    pub fn shows(&mut self, text: &str, limit: Duration) -> bool {
        let until = Instant::now() + limit;
        loop {
            if let Some(at) = self.shown.find(text) {
                self.shown.drain(..at + text.len());
                return true;
            }
            match self.pieces.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(piece) => self.shown.push_str(&String::from_utf8_lossy(&piece)),
                Err(_) => return false,
            }
        }
    }

    /// Waits until `text` is shown.
    ///
    /// # Panics
    /// When it isn't within twenty seconds; what was shown instead is in the message.
    pub fn expect(&mut self, text: &str) {
        assert!(self.shows(text, Duration::from_secs(20)), "{text:?} was not shown, but {:?}", self.shown);
    }

    /// Waits for the program's end.
    ///
    /// # Panics
    /// When it was taken away already.
    pub fn end(&mut self) -> ExitStatus {
        self.program.wait().unwrap()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if self.program.try_wait().is_ok_and(|status| status.is_none()) {
            self.program.kill().unwrap();
            self.program.wait().unwrap();
        }
    }
}
