//! What the benchmarks serve, and where.

/// On the disk of the checkout: a file system in memory would make a sync cost nothing.
pub const FOLDER: &str = env!("CARGO_TARGET_TMPDIR");

pub const SETTINGS: &str = r#"
public: { listen: "127.0.0.1:0", url: https://surveys.example.com }
admin: { listen: "127.0.0.1:0" }
accounts:
  main:
    auth_id: MALOADLOADLOADLOAD00
    auth_token: { value: "made-up-token-of-the-load-driver" }
    api: http://127.0.0.1:4010
  other:
    auth_id: MALOADLOADLOADLOAD00
    auth_token: { value: "made-up-token-of-the-load-driver" }
    api: http://127.0.0.1:4010
sources:
  ivr: { preset: plivo, account: main, survey: quick }
surveys:
  quick: { questions: [{ name: score, answers: 1-5 }], rating: { question: score } }
delivery: { delay: 0s, rate: 100000, max_concurrency: 64, retry: { max_backoff: 1h } }
shutdown: { drain_delay: 0s }
"#;
