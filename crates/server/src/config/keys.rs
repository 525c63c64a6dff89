//! The table of all keys. What `ashlar config --help` says, what `docs/configuration.md` shows, which names are known and
//! what their defaults and bounds are: all of it is read from here.

use Accepts::{Later, List, Secret, SecretUrl, Switch, Text, Whole};
use Fallback::{Derived, Empty, Value};

/// What a key accepts.
#[derive(Clone, Copy, Debug)]
pub(super) enum Accepts {
    /// Text of the described form.
    Text(&'static str),
    /// Like [`Text`](Self::Text), and nobody may see it.
    Secret(&'static str),
    /// URLs of the described form, one or a list of them, which may hold a password.
    SecretUrl(&'static str),
    /// A list of the described entries.
    List(&'static str),
    /// A whole number of the unit, between two bounds.
    Whole(u64, u64, &'static str),
    /// Yes or no.
    Switch,
    /// Nothing yet: the name is promised, what it switches on comes later.
    Later(&'static str),
}

/// The value of a key that nobody set.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fallback {
    /// This one. Lists are written with commas.
    Value(&'static str),
    /// One that follows from others, as described.
    Derived(&'static str),
    /// None: the value is empty, which means what is described.
    Empty(&'static str),
}

/// One key.
#[derive(Clone, Copy, Debug)]
pub(super) struct Key {
    /// Section and name, as in `ashlar.toml`.
    pub(super) name: &'static str,
    /// A variable's name without the prefix, which also sets it.
    pub(super) plain: Option<&'static str>,
    pub(super) accepts: Accepts,
    pub(super) fallback: Fallback,
    /// One or two sentences for operators.
    pub(super) meaning: &'static str,
}

impl Key {
    const fn plain(mut self, name: &'static str) -> Self {
        self.plain = Some(name);
        self
    }

    /// The variable that sets it.
    pub(super) fn variable(&self) -> String {
        format!("{PREFIX}{}", self.name.replace('.', "__").to_ascii_uppercase())
    }

    /// The section that it stands in; empty for those at the top.
    pub(super) fn section(&self) -> &'static str {
        self.name.split_once('.').map_or("", |(section, _)| section)
    }

    /// Whether its value must not be shown, or not as it is.
    pub(super) fn is_secret(&self) -> bool {
        matches!(self.accepts, Secret(_) | SecretUrl(_))
    }

    /// What it must be, to follow "must be".
    pub(super) fn expected(&self) -> String {
        match self.accepts {
            Text(form) | Secret(form) | SecretUrl(form) => form.to_owned(),
            List(entries) => format!("a list of {entries}"),
            Whole(least, most, unit) => format!("a whole number of {unit} from {least} to {most}"),
            Switch => "true or false".to_owned(),
            Later(_) => "nothing in this version".to_owned(),
        }
    }

    /// Its default, in words where it is not a value.
    pub(super) fn default_text(&self) -> String {
        match self.fallback {
            Value(value) => format!("`{}`", value.replace(',', ", ")),
            Derived(words) => words.to_owned(),
            Empty(words) => format!("empty: {words}"),
        }
    }
}

/// The beginning of all our variables.
pub(super) const PREFIX: &str = "ASHLAR_";

/// The key of this name.
pub(super) fn find(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

/// The candidate that `name` was probably meant to be.
pub(super) fn nearest(name: &str, candidates: impl Iterator<Item = String>) -> Option<String> {
    let distance = |candidate: &String| strsim::damerau_levenshtein(name, candidate);
    let nearest = candidates.min_by_key(distance)?;
    (distance(&nearest) <= name.len() / 3).then_some(nearest)
}

const fn key(name: &'static str, accepts: Accepts, fallback: Fallback, meaning: &'static str) -> Key {
    Key { name, plain: None, accepts, fallback, meaning }
}

const WEB_URL: Accepts = Text("an http:// or https:// URL without credentials, query and fragment");

/// All keys, section by section.
pub(super) const KEYS: &[Key] = &[
    key(
        "environment",
        Text("`development`, `staging` or `production`"),
        Value("development"),
        "What the server is run for. `production` refuses every default that is unsafe there; `staging` is the same, but pages \
         of developers' machines may call it where `cors.origins` names them.",
    )
    .plain("ENVIRONMENT"),
    key(
        "project_name",
        Text("a name of 1 to 100 characters"),
        Value("Ashlar"),
        "The name that people see: in the API's title, in mail.",
    )
    .plain("PROJECT_NAME"),
    key(
        "secret_key",
        Secret("at least 32 characters that nobody can guess (`openssl rand -base64 32` makes such)"),
        Derived("required in staging and production; in development made once and kept in `<data_dir>/secret_key`"),
        "Encrypts what must be read back and derives the keys that sign cursors and refresh tokens. The same for all \
         instances; with another one the server does not start on the same database.",
    )
    .plain("SECRET_KEY"),
    key(
        "data_dir",
        Text("a path"),
        Value("./data"),
        "The folder of everything embedded: SQLite, files, mail, the generated secret. Relative to the working directory.",
    ),
    key(
        "log_level",
        Text("a level (error, warn, info, debug, trace or off) and levels of single targets, such as info,auth=debug"),
        Value("info"),
        "How much is logged. `info,sql=debug` shows every statement of the database, without its values.",
    )
    .plain("LOG_LEVEL"),
    key(
        "server.bind",
        Text("an address and a port, such as 127.0.0.1:8000"),
        Value("127.0.0.1:8000"),
        "Where the API listens; port 0 picks a free one and prints it. `PORT` sets the port and keeps the address.",
    )
    .plain("PORT"),
    key(
        "server.public_url",
        WEB_URL,
        Derived("`http://localhost:<port of server.bind>`"),
        "How browsers reach the API: without a path, because its own paths begin at the root. Production wants https://.",
    ),
    key("server.workers", Whole(1, 1_024, "threads"), Derived("one per core"), "Threads that answer requests."),
    key(
        "server.trusted_proxies",
        List("addresses and networks, such as 10.0.0.0/8"),
        Empty("none"),
        "The proxies whose `X-Forwarded-For` is believed. Anyone else's is ignored.",
    ),
    key(
        "server.request_timeout",
        Whole(1, 300, "seconds"),
        Value("5"),
        "How long a request may take before it is answered with 503, the time in which the client sends its body not \
         counted. What needs longer says so in the OpenAPI document (`x-deadline-seconds`).",
    ),
    key(
        "server.connections",
        Whole(16, 1_000_000, "connections"),
        Value("4096"),
        "How many connections there are at once. The next one waits until the longest idle one is closed. The process needs \
         as many file descriptors, and some hundreds more.",
    ),
    key(
        "server.connections_per_address",
        Whole(1, 1_000_000, "connections"),
        Value("512"),
        "How many of them one address has (IPv6: one /64); a further one takes the place of its longest idle one or is \
         refused. Not for `server.trusted_proxies`, nor while `limits.enabled` is false.",
    ),
    key(
        "server.drain_delay",
        Whole(0, 300, "seconds"),
        Derived("5 in production, else 0"),
        "How long a stop is announced before it takes effect: readiness is red, each answer says `Connection: close`, and new \
         connections are taken still. As long as the load balancer needs to notice.",
    ),
    key(
        "server.shutdown_grace",
        Whole(0, 3_600, "seconds"),
        Value("20"),
        "How long a stop then waits for the requests that are under way; the process has ended 5 s later, whatever hangs.",
    ),
    key(
        "server.client_timeout",
        Whole(1, 300, "seconds"),
        Value("10"),
        "How long a client may take to send the head of a request.",
    ),
    key(
        "server.write_timeout",
        Whole(1, 300, "seconds"),
        Value("30"),
        "How long a client may take nothing of its answer before the connection is closed.",
    ),
    key(
        "server.keep_alive",
        Whole(1, 3_600, "seconds"),
        Value("75"),
        "How long an idle connection stays open: longer than the proxy in front keeps it.",
    ),
    key(
        "cors.origins",
        List("origins such as https://app.example.com or, for every port, http://localhost:* (never `*` alone)"),
        Derived(
            "`http://localhost:*, https://localhost:*, http://127.0.0.1:*, http://[::1]:*` in development, none otherwise",
        ),
        "The web pages that may call the API and the object store from a browser. Apps have origins of their own, such as \
         capacitor://localhost and tauri://localhost, which are compared as they stand.",
    ),
    key(
        "cors.headers",
        List("names of request headers, such as sentry-trace (never `*`)"),
        Empty("none"),
        "The request headers that pages may send besides those that the API knows: what their tracing or their HTTP library \
         adds.",
    ),
    key(
        "database.url",
        SecretUrl("sqlite: and a path, or a postgres:// URL"),
        Derived("`sqlite://<data_dir>/ashlar.sqlite`"),
        "The database.",
    )
    .plain("DATABASE_URL"),
    key(
        "database.replica_urls",
        SecretUrl("a list of postgres:// URLs"),
        Empty("the primary reads too"),
        "Streaming replicas of the primary, which answer what only reads.",
    ),
    key(
        "database.pool_size",
        Whole(1, 1_000, "connections"),
        Value("10"),
        "Connections to each database. SQLite: of readers; there is one writer.",
    ),
    key(
        "database.acquire_timeout",
        Whole(1, 300, "seconds"),
        Value("3"),
        "How long a request waits for a connection before it is answered with 503.",
    ),
    key(
        "database.statement_timeout",
        Whole(1, 300, "seconds"),
        Value("4"),
        "How long a request waits for the answer to a statement, the waits for a connection and for locks included. A \
         replica has half of it, so that the primary can still answer.",
    ),
    key(
        "database.migration_timeout",
        Whole(1, 86_400, "seconds"),
        Value("600"),
        "How long migrating may take, and an instance waits for another one that migrates.",
    ),
    key(
        "database.idle_timeout",
        Whole(1, 86_400, "seconds"),
        Value("600"),
        "A connection that nobody used for so long is closed.",
    ),
    key(
        "database.max_lifetime",
        Whole(1, 604_800, "seconds"),
        Value("1800"),
        "A connection of this age is closed, so that a primary that moved is found again.",
    ),
    key(
        "database.auto_migrate",
        Switch,
        Derived("`true` in development, else `false`"),
        "Whether a start applies the migrations. Otherwise `ashlar migrate up` does.",
    ),
    key(
        "storage.endpoint",
        WEB_URL,
        Empty("the embedded store"),
        "The S3 service that keeps the files, as the server reaches it.",
    ),
    key(
        "storage.public_endpoint",
        WEB_URL,
        Empty("`storage.endpoint`, or the embedded store's own address"),
        "The same as browsers reach it: presigned URLs begin with it.",
    ),
    key("storage.region", Text("the name of a region"), Value("us-east-1"), "The region that requests are signed for."),
    key(
        "storage.bucket",
        Text("a bucket's name: 3 to 63 lower-case letters, digits, dots and hyphens"),
        Value("ashlar"),
        "The bucket of all files.",
    ),
    key(
        "storage.access_key",
        Secret("the name of the key that may read and write the bucket"),
        Empty("derived from `secret_key` for the embedded store, required for another"),
        "The access key id.",
    ),
    key(
        "storage.secret_key",
        Secret("the secret that belongs to `storage.access_key`"),
        Empty("derived from `secret_key` for the embedded store, required for another"),
        "The secret access key.",
    ),
    key(
        "storage.path_style",
        Switch,
        Value("true"),
        "Whether the bucket stands in the path (MinIO, the embedded store) or in the host name.",
    ),
    key(
        "storage.embedded_bind",
        Text("an address and a port, such as 127.0.0.1:9000"),
        Value("127.0.0.1:9000"),
        "Where the embedded store listens; port 0 picks a free one. For the server itself it listens on a port of its own too, \
         on this machine only.",
    ),
    key(
        "storage.embedded_connections",
        Whole(16, 1_000_000, "connections"),
        Value("1024"),
        "How many connections clients have to the embedded store at once. The next one waits until the longest idle one is \
         closed. `server.connections_per_address` holds too.",
    ),
    key(
        "storage.embedded_unfinished_bytes",
        Whole(1_048_576, 1_125_899_906_842_624, "bytes"),
        Value("4294967296"),
        "What unfinished uploads to the embedded store may take on the disk, all together (4 GiB); \
         further ones are answered with 503 `SlowDown`.",
    ),
    key(
        "storage.embedded_rate",
        Whole(1, 1_073_741_824, "bytes per second"),
        Value("16384"),
        "What an upload to the embedded store has to bring on average, beyond 30 s for a start; slower ones are given up.",
    ),
    key(
        "mail.from",
        Text("a mailbox, such as Ashlar <no-reply@example.com>"),
        Derived("`<project_name> <no-reply@<host of server.public_url>>`"),
        "The sender of all mail.",
    ),
    key(
        "mail.smtp_url",
        Later("mail over SMTP"),
        Empty("files below `<data_dir>/mail`"),
        "The server that delivers the mail.",
    ),
    key(
        "auth.issuer",
        Text("text that is not empty"),
        Derived("`server.public_url`"),
        "The `iss` of access tokens.",
    ),
    key("auth.audience", Text("text that is not empty"), Value("ashlar"), "The `aud` of access tokens."),
    key(
        "auth.access_token_seconds",
        Whole(60, 3_600, "seconds"),
        Value("900"),
        "How long an access token is good.",
    ),
    key(
        "auth.refresh_token_days",
        Whole(1, 365, "days"),
        Value("30"),
        "How long a session lives that nobody refreshes; its refresh tokens end with it.",
    ),
    key(
        "auth.session_days",
        Whole(1, 3_650, "days"),
        Value("365"),
        "How long a session lives at most, however often it is refreshed.",
    ),
    key(
        "auth.sessions_per_user",
        Whole(1, 10_000, "sessions"),
        Value("100"),
        "How many sessions a user may have; a further sign-in ends the one that was not used for longest.",
    ),
    key(
        "auth.refresh_grace_seconds",
        Whole(0, 60, "seconds"),
        Value("10"),
        "How long a refresh token that was used gives the same successor again, for a client that lost the answer.",
    ),
    key(
        "auth.argon2_memory_kib",
        Whole(128, 4_194_304, "KiB"),
        Value("19456"),
        "Memory of one password hash. Production wants OWASP's minimum for the iterations.",
    ),
    key("auth.argon2_iterations", Whole(1, 100, "passes"), Value("2"), "Passes of one password hash."),
    key("auth.argon2_parallelism", Whole(1, 16, "lanes"), Value("1"), "Lanes of one password hash."),
    key(
        "auth.hash_threads",
        Whole(1, 256, "threads"),
        Derived("one per core"),
        "Threads that hash passwords; each holds the memory of one hash.",
    ),
    key(
        "auth.hash_queue",
        Whole(1, 100_000, "requests"),
        Value("256"),
        "How many logins may wait for such a thread, and how many new passwords, which have half of the threads; further ones \
         are answered with 503.",
    ),
    key(
        "auth.hash_wait_seconds",
        Whole(1, 60, "seconds"),
        Value("3"),
        "How long each of them may wait; then it is answered with 503.",
    ),
    key(
        "auth.link_base",
        WEB_URL,
        Derived("`server.public_url`"),
        "What links in mail begin with; `/reset-password#token=…` follows.",
    ),
    key(
        "auth.require_verified_email",
        Switch,
        Value("false"),
        "Whether an account works only once its address is verified. `true` is not in this version.",
    ),
    key(
        "uploads.max_size",
        Whole(1, 67_108_864, "bytes"),
        Value("67108864"),
        "The largest file. This version uploads in one request, hence at most 64 MiB.",
    ),
    key(
        "uploads.url_seconds",
        Whole(10, 604_800, "seconds"),
        Value("900"),
        "How long a presigned URL is good.",
    ),
    key(
        "uploads.quota",
        Whole(0, 1_125_899_906_842_624, "bytes"),
        Value("10737418240"),
        "What all files of one user may take (10 GiB), deleted ones until their object is gone.",
    ),
    key(
        "uploads.allowed_types",
        List("media types in lower case and without parameters, such as image/png"),
        Value(
            "image/jpeg,image/png,image/gif,image/webp,image/avif,application/pdf,video/mp4,video/webm,audio/mpeg,\
             text/plain,text/csv,application/zip",
        ),
        "The types of files that are taken, each by any of its names.",
    ),
    key(
        "uploads.grace_days",
        Whole(0, 365, "days"),
        Value("7"),
        "How long the object of a deleted upload is kept.",
    ),
    key(
        "limits.enabled",
        Switch,
        Value("true"),
        "For load tests, and refused as `false` in production. Without effect yet: this version limits no client's requests.",
    ),
    key(
        "limits.url_bytes",
        Whole(16_384, 65_534, "bytes"),
        Value("16384"),
        "The longest path and query together (16 KiB); longer ones are answered with 414. The HTTP parser itself refuses what is \
         longer than the most that can be set here, with a bare 400.",
    ),
    key(
        "limits.json_body_bytes",
        Whole(1_024, 16_777_216, "bytes"),
        Value("1048576"),
        "The largest JSON body (1 MiB); larger ones are answered with 413.",
    ),
    key(
        "limits.body_seconds",
        Whole(1, 300, "seconds"),
        Value("30"),
        "How long a body may take to arrive; slower ones are answered with 408.",
    ),
    key(
        "metrics.bind",
        Later("metrics"),
        Empty("no metrics"),
        "Where Prometheus reads the metrics.",
    ),
    key("redis.url", Later("Redis"), Empty("in process"), "What instances share.").plain("REDIS_URL"),
    key(
        "kafka.brokers",
        Later("Kafka"),
        Empty("in process"),
        "Where domain events are published.",
    ),
];
