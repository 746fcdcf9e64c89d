//! Structured logs: JSON lines for a collector, or text for a terminal.
//!
//! Events of the `log` crate, which some of our dependencies speak, come out the same way.

use std::io::{self, IsTerminal};
use std::str::FromStr;
use std::sync::OnceLock;
use std::{env, fmt};

use tracing::Dispatch;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};
use tracing_subscriber::{EnvFilter, Layer, reload};

pub use crate::domain::chain;

/// How a log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// `Pretty` on a terminal, `Json` elsewhere.
    #[default]
    Auto,
    /// One JSON object a line, the event's fields at its top and the current span beside them.
    Json,
    /// Text; coloured on a terminal, unless `NO_COLOR` is set.
    Pretty,
}

/// Which events are logged: a level, or levels by target. What parses is known to be meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter(String);

/// Where log lines go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// For a service, whose only output they are.
    Stdout,
    /// For a command that prints its results.
    Stderr,
}

/// The text is no format.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a log format: use auto, json or pretty")]
pub struct UnknownFormat;

/// The text is no filter.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{part:?} is not a log filter: use error, warn, info, debug, trace or off, and target=level for parts of the service, as in \"info,postcall::delivery=debug\""
)]
pub struct BadFilter {
    part: String,
}

/// Starts logging for the whole process.
///
/// # Errors
/// When logging was started before.
pub fn init(format: Format, filter: &Filter, stream: Stream) -> Result<(), TryInitError> {
    let (lines, refilter) = match stream {
        Stream::Stdout => {
            let out = io::stdout();
            lines(format.on(&out), filter, io::stdout, is_for_eyes(&out))
        }
        Stream::Stderr => {
            let out = io::stderr();
            lines(format.on(&out), filter, io::stderr, is_for_eyes(&out))
        }
    };
    lines.try_init()?;
    REFILTER.get_or_init(|| refilter);
    Ok(())
}

/// From now on, these events are logged. Where logging was not started nothing happens.
pub fn filter_by(filter: &Filter) {
    if let Some(refilter) = REFILTER.get() {
        refilter(filter);
    }
}

type Refilter = Box<dyn Fn(&Filter) + Send + Sync>;

/// Of the process, as its logs are.
static REFILTER: OnceLock<Refilter> = OnceLock::new();

fn lines<W>(format: Format, filter: &Filter, writer: W, colour: bool) -> (Dispatch, Refilter)
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let (filter, handle) = reload::Layer::new(filter.compiled());
    let lines = tracing_subscriber::fmt::layer().with_writer(writer).with_ansi(colour);
    let lines = match format {
        Format::Auto | Format::Json => {
            lines.json().flatten_event(true).with_span_list(false).boxed()
        }
        Format::Pretty => lines.boxed(),
    };
    let refilter = move |filter: &Filter| {
        // It fails only where no one logs any more.
        let _ = handle.reload(filter.compiled());
    };
    (tracing_subscriber::registry().with(filter).with(lines).into(), Box::new(refilter))
}

fn is_for_eyes(stream: &impl IsTerminal) -> bool {
    stream.is_terminal() && env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

impl Filter {
    /// Dependencies that tell more at `info` than an operator can use. They come first, so that
    /// a filter can still name them.
    ///
    /// The dispatcher of actix writes an error for every malformed request, as many as anybody cares to
    /// send; `postcall_connections_closed_total` counts them.
    const QUIET: &str = "actix_server=warn,refinery_core=warn,actix_http::h1::dispatcher=off";

    /// At `debug` it quotes headers that it cannot read, which may hold anything a stranger sent.
    /// It comes last, so that no filter can ask for it.
    const INDISCREET: &str = "actix_http::h1::decoder=info";

    fn compiled(&self) -> EnvFilter {
        EnvFilter::new([Self::QUIET, &self.0, Self::INDISCREET].join(","))
    }
}

impl Default for Filter {
    fn default() -> Self {
        Self("info".to_owned())
    }
}

impl FromStr for Filter {
    type Err = BadFilter;

    /// Stricter than the filters of `tracing`, which take a misspelt level for a target and then
    /// log next to nothing.
    fn from_str(text: &str) -> Result<Self, BadFilter> {
        let parts: Vec<&str> = text.split(',').map(str::trim).collect();
        for part in &parts {
            let level = part.rsplit_once('=').map_or(*part, |(_, level)| level);
            let is_level = ["error", "warn", "info", "debug", "trace", "off"].contains(&level);
            if !is_level || EnvFilter::builder().parse(part).is_err() {
                return Err(BadFilter { part: (*part).to_owned() });
            }
        }
        Ok(Self(parts.join(",")))
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Format {
    /// What `Auto` means for a stream.
    fn on(self, stream: &impl IsTerminal) -> Self {
        match self {
            Format::Auto if stream.is_terminal() => Format::Pretty,
            Format::Auto => Format::Json,
            chosen => chosen,
        }
    }
}

impl FromStr for Format {
    type Err = UnknownFormat;

    fn from_str(text: &str) -> Result<Self, UnknownFormat> {
        match text {
            "auto" => Ok(Format::Auto),
            "json" => Ok(Format::Json),
            "pretty" => Ok(Format::Pretty),
            _ => Err(UnknownFormat),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use serde_json::Value;
    use tracing::{debug, dispatcher, info, info_span};

    use super::*;

    /// What `speak` logs, as it is written.
    fn logged(format: Format, filter: &str, speak: impl FnOnce()) -> String {
        let written = Arc::new(Mutex::new(Vec::new()));
        let keep = written.clone();
        let writer = move || Kept(keep.clone());
        let (lines, _) = lines(format, &filter.parse().unwrap(), writer, false);
        dispatcher::with_default(&lines, speak);
        String::from_utf8(written.lock().unwrap().clone()).unwrap()
    }

    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_json_line_carries_the_fields_at_its_top_and_the_span_beside_them() {
        let line = logged(Format::Json, "info", || {
            let _span = info_span!("webhook", source = "ivr").entered();
            info!(submission = "s-1", "webhook kept");
            debug!("not at this level");
        });
        let line: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(line["message"], "webhook kept");
        assert_eq!(line["submission"], "s-1");
        assert_eq!(line["span"]["source"], "ivr");
    }

    #[test]
    fn dependencies_are_quiet_until_they_are_named() {
        let speak = || info!(target: "refinery_core::traits", "applying migration");
        assert_eq!(logged(Format::Pretty, "debug", speak), "");
        assert!(logged(Format::Pretty, "warn,refinery_core=info", speak).contains("applying"));
        let speak = || tracing::error!(target: "actix_http::h1::dispatcher", "stream error");
        assert_eq!(logged(Format::Pretty, "trace", speak), "");
        let named = "warn,actix_http::h1::dispatcher=error";
        assert!(logged(Format::Pretty, named, speak).contains("stream error"));
    }

    #[test]
    fn another_filter_holds_from_the_next_line() {
        let written = Arc::new(Mutex::new(Vec::new()));
        let keep = written.clone();
        let info = "info".parse().unwrap();
        let (lines, refilter) = lines(Format::Pretty, &info, move || Kept(keep.clone()), false);
        dispatcher::with_default(&lines, || {
            debug!("before");
            refilter(&"info,postcall=debug".parse().unwrap());
            debug!("after");
        });
        let written = String::from_utf8(written.lock().unwrap().clone()).unwrap();
        assert!(!written.contains("before") && written.contains("after"), "{written}");
    }

    #[test]
    fn a_misspelt_level_is_refused_with_what_would_be_right() {
        for good in ["info", "off", "info,postcall::delivery=debug", "warn, postcall=trace"] {
            assert!(good.parse::<Filter>().is_ok(), "{good}");
        }
        for bad in ["", "infoo", "info,", "postcall", "postcall=verbose", "info;debug"] {
            assert!(bad.parse::<Filter>().is_err(), "{bad}");
        }
        insta::assert_snapshot!(
            "info,postcall=verbose".parse::<Filter>().unwrap_err(),
            @r#""postcall=verbose" is not a log filter: use error, warn, info, debug, trace or off, and target=level for parts of the service, as in "info,postcall::delivery=debug""#
        );
    }
}
