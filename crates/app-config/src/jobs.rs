//! The section `jobs`.

use std::time::Duration;

use configuration::{Keys, Section, days, empty, key, list, switch, whole};
use shared_kernel::job::Queue;

/// Settings of durable jobs.
#[derive(Clone, Debug)]
pub struct Jobs {
    /// Whether the server runs jobs.
    pub in_server: bool,
    /// Number of jobs of a queue that one process runs at the same time.
    pub queues: Vec<(Queue, usize)>,
    /// The number for queues that are not named.
    pub slots: usize,
    /// Time for which jobs that succeeded or were cancelled are kept.
    pub kept: Duration,
    /// Time for which dead jobs are kept.
    pub dead_kept: Duration,
}

impl Section for Jobs {
    const NAME: &'static str = "jobs";
    type Given<'a> = ();

    fn read(keys: &mut Keys<'_>, (): ()) -> Option<Self> {
        Some(Self {
            in_server: keys.read(key(
                "in_server",
                switch(),
                true,
                "Whether the server runs durable jobs. If not, the command `worker` does, in a process of its own.",
            ))?,
            queues: keys.read(key(
                "queues",
                list("queues with their slots, such as mail=4 (0 runs none of its jobs)", queue),
                empty("`jobs.slots` each"),
                "Number of jobs of a queue that one process runs at the same time: `mail=4,media=1`.",
            ))?,
            slots: keys.read(key(
                "slots",
                whole(0..=MOST_SLOTS, "jobs"),
                4,
                "Number of jobs of each other queue that one process runs at the same time. A job that writes to the database uses a \
                 connection of `database.pool_size`.",
            ))?,
            kept: keys.read(key(
                "kept_days",
                days(0..=3_650),
                7,
                "Time for which jobs that succeeded, were cancelled or superseded are kept.",
            ))?,
            dead_kept: keys.read(key(
                "dead_kept_days",
                days(1..=3_650),
                90,
                "Time for which dead jobs are kept, with the error of the last attempt.",
            ))?,
        })
    }
}

/// Largest number of jobs of a queue that one process runs at the same time.
const MOST_SLOTS: usize = 256;

fn queue(text: &str) -> Option<(Queue, usize)> {
    let (name, slots) = text.split_once('=')?;
    let slots = slots.parse().ok().filter(|slots| *slots <= MOST_SLOTS)?;
    Some((name.parse().ok()?, slots))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_has_a_name_and_a_number() {
        assert_eq!(queue("mail=4"), Some((Queue::named("mail"), 4)));
        assert_eq!(queue("mail=0"), Some((Queue::named("mail"), 0)));
        for wrong in ["mail", "=4", "Mail=4", "mail=", "mail=-1", "mail=257", "mail=4=4"] {
            assert_eq!(queue(wrong), None, "{wrong}");
        }
    }
}
