//! A log of one JSON object per line.
//!
//! The JSON formatter of tracing-subscriber parses the fields of the current span again for each line. Here they are written once, when
//! the span begins, and copied into each line.

use std::error::Error;
use std::fmt::{self, Write};

use tracing::field::{Field, Visit};
use tracing::span::Record;
use tracing::{Event, Subscriber};
use tracing_log::NormalizeEvent as _;
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime as _, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields};
use tracing_subscriber::registry::LookupSpan;

/// Writes an event: its time, level, fields and target, and the current span.
pub(super) struct JsonLines;

impl<S, N> FormatEvent<S, N> for JsonLines
where
    S: Subscriber + for<'lookup> LookupSpan<'lookup>,
    N: for<'writer> FormatFields<'writer> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let of_a_log_record = event.normalized_metadata();
        let metadata = of_a_log_record.as_ref().unwrap_or_else(|| event.metadata());
        writer.write_str(r#"{"timestamp":""#)?;
        SystemTime.format_time(&mut writer)?;
        write!(writer, r#"","level":"{}""#, metadata.level())?;
        JsonMembers.format_fields(writer.by_ref(), event)?;
        member(&mut writer, "target", &metadata.target())?;
        if let Some(span) =
            event.parent().and_then(|id| context.span(id)).or_else(|| context.lookup_current())
        {
            write!(writer, r#","span":{{"name":"{}""#, span.name())?;
            if let Some(fields) = span.extensions().get::<FormattedFields<N>>() {
                writer.write_str(fields.as_str())?;
            }
            writer.write_char('}')?;
        }
        writer.write_str("}\n")
    }
}

/// Writes fields as members of an object that has one already.
pub(super) struct JsonMembers;

impl<'w> FormatFields<'w> for JsonMembers {
    fn format_fields<R: RecordFields>(&self, writer: Writer<'w>, fields: R) -> fmt::Result {
        let mut members = Members { writer, written: Ok(()) };
        fields.record(&mut members);
        members.written
    }

    /// Fields that a span records after its beginning. One that is recorded twice is there twice.
    fn add_fields(&self, current: &'w mut FormattedFields<Self>, fields: &Record<'_>) -> fmt::Result {
        let complete = current.fields.len();
        let written = self.format_fields(Writer::new(&mut current.fields), fields);
        if written.is_err() {
            // Half a member would spoil every further line of the span.
            current.fields.truncate(complete);
        }
        written
    }
}

struct Members<'w> {
    writer: Writer<'w>,
    written: fmt::Result,
}

impl Members<'_> {
    /// Writes the member if no earlier one failed.
    fn write(&mut self, field: &Field, value: impl FnOnce(&mut Writer<'_>, &str) -> fmt::Result) {
        // Fields that tracing-log adds to the records of the crate `log`: the metadata has them.
        if self.written.is_ok() && !field.name().starts_with("log.") {
            self.written = value(&mut self.writer, field.name().trim_start_matches("r#"));
        }
    }
}

impl Visit for Members<'_> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        // JSON has no other numbers (RFC 8259, section 6).
        if value.is_finite() {
            self.write(field, |writer, name| write!(writer, r#","{name}":{value}"#));
        } else {
            self.write(field, |writer, name| write!(writer, r#","{name}":null"#));
        }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.write(field, |writer, name| write!(writer, r#","{name}":{value}"#));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.write(field, |writer, name| write!(writer, r#","{name}":{value}"#));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.write(field, |writer, name| write!(writer, r#","{name}":{value}"#));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.write(field, |writer, name| member(writer, name, &value));
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        self.write(field, |writer, name| member(writer, name, &value));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.write(field, |writer, name| member(writer, name, &format_args!("{value:?}")));
    }
}

/// Writes a member whose value is a string.
fn member(writer: &mut Writer<'_>, name: &str, value: &dyn fmt::Display) -> fmt::Result {
    write!(writer, r#","{name}":""#)?;
    write!(Escaped(writer), "{value}")?;
    writer.write_char('"')
}

/// Escapes what must not stand in a string (RFC 8259, section 7).
struct Escaped<'a, 'w>(&'a mut Writer<'w>);

impl Write for Escaped<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text;
        while let Some(at) = rest.find(|character| matches!(character, '\0'..='\x1f' | '"' | '\\')) {
            let (before, from) = rest.split_at(at);
            let mut after = from.chars();
            self.0.write_str(before)?;
            match after.next() {
                Some('\n') => self.0.write_str("\\n")?,
                Some(character @ ('"' | '\\')) => write!(self.0, "\\{character}")?,
                Some(control) => write!(self.0, "\\u{:04x}", u32::from(control))?,
                None => {}
            }
            rest = after.as_str();
        }
        self.0.write_str(rest)
    }
}
