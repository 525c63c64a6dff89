//! CPU time and context switches of processes, as Linux counts them in `/proc` (`proc_pid_stat(5)`, `proc_pid_status(5)`).

use std::fs;
use std::ops::Sub;
use std::path::Path;

use anyhow::{Context as _, Result};

/// Microseconds of a clock tick: `USER_HZ` is 100 on `x86_64` and on `aarch64`.
const TICK: u64 = 10_000;

/// Counters of a process, or of several.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Time on a CPU, in user mode and in the kernel, in microseconds.
    pub cpu: u64,
    /// Number of context switches.
    pub switches: u64,
}

impl Sub for Usage {
    type Output = Self;

    /// The difference. The switches of a thread are no longer counted after its end, so it may be negative, and is zero then.
    fn sub(self, earlier: Self) -> Self {
        Self {
            cpu: self.cpu.saturating_sub(earlier.cpu),
            switches: self.switches.saturating_sub(earlier.switches),
        }
    }
}

impl Usage {
    /// Counters of this process.
    ///
    /// # Errors
    ///
    /// The process has ended.
    pub fn of(process: u32) -> Result<Self> {
        let stat = Stat::read(process)?;
        let mut switches = 0;
        for thread in fs::read_dir(format!("/proc/{process}/task"))? {
            // A thread that ends meanwhile has no file any more.
            let status = fs::read_to_string(thread?.path().join("status")).unwrap_or_default();
            let counts = status.lines().filter(|line| line.contains("ctxt_switches:"));
            switches +=
                counts.filter_map(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok()).sum::<u64>();
        }
        Ok(Self { cpu: stat.own * TICK, switches })
    }

    /// The CPU time of a process, of its children, and of those children that have ended. The switches are not counted.
    ///
    /// # Errors
    ///
    /// The process has ended.
    pub fn of_family(parent: u32) -> Result<Self> {
        let stat = Stat::read(parent)?;
        let mut ticks = stat.own + stat.ended_children;
        for entry in fs::read_dir("/proc")? {
            let process = entry?.file_name().to_str().and_then(|name| name.parse().ok());
            // A process that ends meanwhile is counted among the ended children next time.
            let child = process.and_then(|process| Stat::read(process).ok());
            ticks += child.filter(|child| child.parent == parent).map_or(0, |child| child.own);
        }
        Ok(Self { cpu: ticks * TICK, switches: 0 })
    }
}

/// Fields of `/proc/PID/stat`; times are in clock ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stat {
    parent: u32,
    own: u64,
    ended_children: u64,
}

impl Stat {
    fn read(process: u32) -> Result<Self> {
        let path = format!("/proc/{process}/stat");
        let text = fs::read_to_string(&path).with_context(|| format!("can't read {path}"))?;
        Self::parse(&text).with_context(|| format!("{path} was not understood"))
    }

    /// The name of the program, in brackets, may contain spaces and brackets. The field after it is the third.
    fn parse(text: &str) -> Option<Self> {
        let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
        let number = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
        Some(Self {
            parent: u32::try_from(number(4)?).ok()?,
            own: number(14)? + number(15)?,
            ended_children: number(16)? + number(17)?,
        })
    }
}

/// The server process of PostgreSQL to which this backend belongs, if both run on this machine.
#[must_use]
pub fn postmaster(backend: u32) -> Option<u32> {
    let name = fs::read_to_string(Path::new("/proc").join(backend.to_string()).join("comm")).ok()?;
    Stat::read(backend).ok().filter(|_| name.trim() == "postgres").map(|stat| stat.parent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_program_may_have_brackets() {
        let text = "7 (a) b) S 3 7 7 0 -1 4194560 1 2 3 4 10 20 30 40 20 0 1";
        assert_eq!(Stat::parse(text), Some(Stat { parent: 3, own: 30, ended_children: 70 }));
        assert_eq!(Stat::parse("7 (a)"), None);
    }

    #[test]
    fn this_process_has_counters() {
        let usage = Usage::of(std::process::id()).unwrap();
        assert!(usage.switches > 0);
        assert_eq!(usage - usage, Usage::default());
        assert!(Usage::of_family(std::process::id()).is_ok() && Usage::of(u32::MAX).is_err());
        assert_eq!(postmaster(std::process::id()), None);
    }
}
