//! How many requests, and how many bytes of them, each priority level takes.

/// How large a level is.
#[derive(Clone, Copy, Debug)]
pub struct LevelLimits {
    /// Requests that are worked on at once.
    pub seats: usize,
    /// Requests that are here, be they worked on or waiting.
    pub in_flight: usize,
    /// Those of one caller among them.
    pub each: usize,
    /// Bytes of their bodies.
    pub bytes: usize,
    /// Bytes of those that were begun and wait for something to come about.
    pub parked: usize,
}

/// How large the levels are.
#[derive(Clone, Copy, Debug)]
pub struct PriorityLevels {
    /// Of this process, the scheduler and the controllers. They don't compete with each other.
    pub components: LevelLimits,
    /// Of the nodes.
    pub nodes: LevelLimits,
    /// Of everybody else.
    pub users: LevelLimits,
}

const MIB: usize = 1 << 20;
impl PriorityLevels {
    /// For writes: what each has parsed is many times as large as its JSON, and the log takes no more than a thousand at a time.
    pub fn of_requests() -> Self {
        Self {
            components: LevelLimits { seats: 512, in_flight: usize::MAX, each: usize::MAX, bytes: 256 * MIB, parked: 16 * MIB },
            nodes: LevelLimits { seats: 256, in_flight: 768, each: usize::MAX, bytes: 64 * MIB, parked: MIB },
            users: LevelLimits { seats: 512, in_flight: 2_560, each: usize::MAX, bytes: 128 * MIB, parked: 16 * MIB },
        }
    }

    /// For batches of requests.
    pub(crate) fn of_batches() -> Self {
        Self {
            components: LevelLimits { seats: 64, in_flight: usize::MAX, each: usize::MAX, bytes: 256 * MIB, parked: 0 },
            nodes: LevelLimits { seats: 64, in_flight: 512, each: usize::MAX, bytes: 64 * MIB, parked: 0 },
            users: LevelLimits { seats: 16, in_flight: 256, each: usize::MAX, bytes: 64 * MIB, parked: 0 },
        }
    }

    /// For looking through all that there is: it takes a processor for as long as it lasts.
    pub(crate) fn of_searches() -> Self {
        let all = LevelLimits { seats: 8, in_flight: 0, each: 0, bytes: 0, parked: 0 };
        Self { components: LevelLimits { seats: 64, ..all }, nodes: LevelLimits { seats: 4, ..all }, users: all }
    }

    /// For watches; what counts as their bytes is what they begin with.
    pub(crate) fn of_watches() -> Self {
        let all = LevelLimits { seats: 0, in_flight: usize::MAX, each: usize::MAX, bytes: 512 * MIB, parked: 0 };
        let (nodes, users) =
            (LevelLimits { in_flight: 1 << 20, each: 1 << 10, bytes: 128 * MIB, ..all }, LevelLimits { in_flight: 1 << 16, each: 1 << 13, ..all });
        Self { components: all, nodes, users }
    }
}
