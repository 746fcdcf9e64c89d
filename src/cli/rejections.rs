use std::io::{self, Write};

use clap::Args;

use super::Failure;
use super::admin_api::AdminArgs;
use super::submissions::{Output, to_json};
use super::table::Table;
use crate::admin::RejectionView;

/// The last 50, the latest first, since the service was started.
#[derive(Debug, Args)]
pub(super) struct Rejections {
    /// How to print them; json is one object a line
    #[arg(long, value_enum, default_value_t)]
    output: Output,
    #[command(flatten)]
    admin: AdminArgs,
}

impl Rejections {
    pub(super) fn run(self) -> Result<(), Failure> {
        actix_web::rt::System::new().block_on(async {
            let listed = self.admin.open_service()?.rejections().await?;
            let mut out = io::stdout().lock();
            if self.output == Output::Json {
                for rejection in &listed.rejections {
                    writeln!(out, "{}", to_json(rejection)?)?;
                }
                return Ok(());
            }
            let head = ["AT", "SOURCE", "REASON", "CALLED", "SIGNED URL", "SCHEMES", "QUARANTINED"];
            let mut table = Table::with_head(head);
            listed.rejections.into_iter().for_each(|rejection| table.add(line(rejection)));
            Ok(write!(out, "{table}")?)
        })
    }
}

fn line(it: RejectionView) -> Vec<String> {
    let called = it.host.unwrap_or_else(|| "?".to_owned());
    let quarantined = if it.quarantined { "yes" } else { "no" };
    vec![
        format!("{:.0}", it.at),
        it.source,
        it.reason,
        called,
        format!("{} {}", it.method, it.url),
        it.schemes.join(" or "),
        quarantined.to_owned(),
    ]
}
