use clap::Args;

use super::Failure;
use super::admin_api::AdminArgs;
use super::submissions::{Output, print_list};
use super::terminal::{Terminal, TimeArgs};
use crate::admin::RejectionView;

/// The last 50, the latest first, since the service was started.
#[derive(Debug, Args)]
pub(super) struct Rejections {
    /// How to print them; json is one object a line
    #[arg(long, value_enum, default_value_t)]
    output: Output,
    #[command(flatten)]
    times: TimeArgs,
    #[command(flatten)]
    admin: AdminArgs,
}

impl Rejections {
    pub(super) fn run(self) -> Result<(), Failure> {
        actix_web::rt::System::new().block_on(async {
            let listed = self.admin.open_service()?.rejections().await?;
            let head = ["AT", "SOURCE", "REASON", "CALLED", "SIGNED URL", "SCHEMES", "QUARANTINE"];
            print_list(&listed.rejections, self.output, &self.times.terminal(), head, row)
        })
    }
}

fn row(it: &RejectionView, terminal: &Terminal) -> [String; 7] {
    let called = it.host.as_deref().unwrap_or("?");
    [
        terminal.time(it.at),
        it.source.clone(),
        it.reason.clone(),
        called.to_owned(),
        format!("{} {}", it.method, it.url),
        it.schemes.join(" or "),
        it.quarantine.clone().unwrap_or_else(|| "no".to_owned()),
    ]
}
