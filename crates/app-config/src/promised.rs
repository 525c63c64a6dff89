//! Sections with reserved names, whose features come later: `metrics`, `redis`, `kafka`. Values are refused.

use configuration::{Keys, Section, empty, key, promised};

/// Metrics; not in this version.
pub(crate) struct Metrics;

impl Section for Metrics {
    const NAME: &'static str = "metrics";
    type Given<'a> = ();

    fn read(keys: &mut Keys<'_>, (): ()) -> Option<Self> {
        let bind = promised("metrics");
        keys.read(key("bind", bind, empty("no metrics"), "Address that Prometheus reads the metrics from."))?;
        Some(Self)
    }
}

/// Redis; not in this version.
pub(crate) struct Redis;

impl Section for Redis {
    const NAME: &'static str = "redis";
    type Given<'a> = ();

    fn read(keys: &mut Keys<'_>, (): ()) -> Option<Self> {
        let url = key(
            "url",
            promised("Redis"),
            empty("in process"),
            "URL of the Redis server that instances share.",
        );
        keys.read(url.alias("REDIS_URL"))?;
        Some(Self)
    }
}

/// Kafka; not in this version.
pub(crate) struct Kafka;

impl Section for Kafka {
    const NAME: &'static str = "kafka";
    type Given<'a> = ();

    fn read(keys: &mut Keys<'_>, (): ()) -> Option<Self> {
        let brokers = promised("Kafka");
        keys.read(key(
            "brokers",
            brokers,
            empty("in process"),
            "Brokers that domain events are published to.",
        ))?;
        Some(Self)
    }
}
