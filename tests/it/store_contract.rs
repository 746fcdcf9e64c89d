//! Every promise of [`Store`](postcall::store::Store) by name, kept by every backend.
//!
//! A promise is an `async fn` over any [`Backend`], a law is a property over any. Both are listed
//! once, below; a new backend is one line at the foot.

pub mod backend;
mod changing;
mod claiming;
mod closing;
mod erasing;
mod files;
mod idempotency;
mod model;
mod operating;
mod order;
mod outages;
mod pausing;
mod quarantine;
mod raw_file;
mod receiving;
mod replicas;
mod reporting;
mod retention;
mod searching;
mod settling;
pub mod spoken;
mod sqlite;
mod statistics;
mod upkeep;
mod writing;

pub use backend::{Backend, Pooled, Postgres, Serializable, Sqlite, TestStore};
pub use model::check;
pub use spoken::webhook;

macro_rules! keeps_every_promise {
    ($backend:ident: $type:ty) => {
        mod $backend {
            promises! { receiving<$type>:
                a_first_webhook_starts_a_submission_and_further_answers_add_to_it
                a_received_webhook_survives_reopening
                a_received_webhook_survives_a_sudden_end
                a_webhook_is_kept_as_it_came
                a_submission_is_read_back_as_it_was_written
                the_same_key_is_the_same_submission
                two_accounts_never_touch_each_others_calls
                a_duplicate_moves_nothing_and_is_not_stored_again
                what_is_new_beside_a_duplicate_is_added
                a_second_answer_in_the_domain_is_counted_changed_and_changes_nothing
                an_answer_in_the_domain_counts_before_what_came_earlier
                a_submission_is_due_by_its_completion_policy
            }
            promises! { reporting<$type>:
                everything_that_a_webhook_reports_is_kept
                a_sender_can_be_answered_by_everything_that_is_known
                the_first_webhook_that_gives_a_field_decides_it
                a_known_field_is_a_duplicate_and_a_new_one_is_not
                a_webhook_with_fields_alone_is_due_at_once
                a_hang_up_starts_a_submission
                a_hang_up_is_waited_after_for_a_short_time
                an_opt_out_completes_a_submission
                what_is_reported_late_changes_nothing
                what_was_reported_during_an_attempt_that_never_arrived_counts_after_all
            }
            promises! { changing<$type>:
                where_the_first_answer_counts_a_duplicate_leaves_no_trace
                where_the_last_answer_counts_going_back_to_the_first_is_a_new_answer
                an_answer_given_again_that_counts_already_is_a_duplicate
                an_answer_that_counts_again_reopens_what_was_ignored
                the_last_answer_counts_until_the_submission_is_closed
                what_came_again_during_an_attempt_that_never_arrived_counts
                another_answer_after_the_delivery_is_delivered_too
                what_is_missing_is_delivered_too_when_it_comes_after_the_delivery
                what_counts_for_nothing_is_not_delivered_again
                what_changed_during_an_attempt_is_delivered_whatever_becomes_of_it
                what_changed_during_an_attempt_survives_a_sudden_end
                what_was_late_counts_once_another_answer_is_delivered
                what_is_delivered_again_is_open_until_its_attempt
                what_the_destination_rejected_is_another_offer_with_another_answer
            }
            promises! { quarantine<$type>:
                a_quarantined_webhook_is_kept_as_it_came
                a_removed_quarantined_webhook_is_gone
                an_erased_call_takes_its_quarantined_webhooks_with_it
                a_quarantined_webhook_that_is_received_twice_is_kept_once
            }
            promises! { idempotency<$type>:
                a_known_idempotency_key_with_the_same_bytes_is_a_duplicate
                a_known_idempotency_key_with_other_bytes_is_rejected_and_leaves_nothing
                two_sources_may_use_the_same_idempotency_key
                a_forgotten_idempotency_key_makes_no_duplicate
                a_lasting_idempotency_key_is_known_as_long_as_its_submission
                an_idempotency_key_is_forgotten_where_the_first_answer_counts
                a_lasting_idempotency_key_goes_with_its_submission
                the_oldest_idempotency_keys_are_forgotten_a_few_at_a_time
            }
            laws! { order<$type>:
                the_order_in_which_webhooks_are_kept_changes_nothing
            }
            promises! { claiming<$type>:
                nothing_is_claimed_before_it_is_due
                what_is_due_longest_is_claimed_first
                a_submission_is_never_claimed_twice_at_once
                no_account_gets_more_than_was_wanted_for_it
                a_busy_account_never_starves_another
                a_backlog_never_starves_what_came_just_now
                each_age_gets_its_share_where_one_is_wanted_at_a_time
                what_one_age_cannot_use_the_others_get
                a_claim_maps_every_answer_that_counts
                a_webhook_that_arrives_before_a_claim_commits_is_in_its_mapping
                what_is_claimed_has_its_attempt_on_disk
                what_maps_to_nothing_is_settled_with_the_claim
                one_claim_settles_so_many_that_map_to_nothing_and_no_more
                a_collecting_submission_becomes_pending_when_it_is_claimed
                a_lease_expires_by_the_stores_own_clock
                a_due_time_beyond_the_latest_is_brought_forward
                a_claim_names_the_sources_of_its_webhooks
                a_lease_that_is_held_does_not_expire
                a_lost_lease_overwrites_nothing
                an_attempt_that_is_not_settled_is_an_unknown_result
                opening_frees_all_claims
                the_next_due_time_is_returned_with_the_claims
            }
            promises! { closing<$type>:
                an_attempt_in_flight_closes_a_submission
                what_came_during_an_attempt_that_never_arrived_counts_after_all
                what_came_earlier_and_was_kept_during_an_attempt_that_never_arrived_is_the_first
                what_came_during_the_last_attempt_is_another_offer
                what_came_after_one_that_may_have_arrived_stays_late
                a_late_duplicate_is_a_duplicate
                what_surely_did_not_arrive_leaves_a_submission_open
                what_may_have_arrived_keeps_a_submission_closed
                one_attempt_that_may_have_arrived_closes_for_good
                what_may_have_arrived_is_dead_where_the_settings_say_so
                what_maps_to_nothing_is_mapped_again_with_a_new_answer
                a_new_answer_reopens_what_was_ignored_or_unmapped
                a_new_answer_to_what_never_arrived_is_a_new_offer
                a_duplicate_reopens_nothing
            }
            promises! { settling<$type>:
                what_was_delivered_is_kept_with_its_attempt
                a_retry_is_due_when_it_was_decided_and_is_spent
                what_is_dead_says_why
                what_is_ignored_may_say_why
                the_trace_of_a_mapping_is_kept_until_the_next_mapping
                what_is_settled_is_never_claimed_again
                results_of_settlements_are_in_their_order
                a_settlement_that_is_repeated_has_the_same_result_and_changes_nothing
                a_settlement_survives_a_sudden_end
                the_first_attempt_and_the_last_ones_are_kept
            }
            promises! { pausing<$type>:
                a_misconfigured_account_is_paused_and_nothing_is_spent
                a_paused_account_gives_one_probe_at_a_time
                a_submission_that_is_never_let_in_does_not_probe_for_all_others
                probes_skip_submissions_that_map_to_nothing
                a_probe_that_only_finds_nothing_to_send_puts_no_probe_off
                a_delivery_resumes_a_paused_account
                a_clock_that_moved_back_leaves_no_account_unprobed
                a_dead_submission_may_pause_its_account
                the_time_an_account_was_paused_is_no_age
                a_pause_survives_reopening
                an_operator_pauses_an_account_until_an_operator_resumes_it
                an_operator_may_resume_an_account_that_was_paused_for_another_cause
                a_paused_account_is_probed_at_once_when_it_is_asked_for
                a_stronger_cause_takes_the_place_of_a_weaker_one_and_never_the_other_way_round
                any_response_resumes_an_account_that_was_unreachable
                only_what_is_rejected_while_others_may_pass_is_counted_against_it
            }
            promises! { searching<$type>:
                pages_go_on_where_the_one_before_ended
                there_is_no_more_after_the_last
                a_cursor_is_parsed_as_it_was_written
                every_condition_of_a_search_has_to_hold
                the_submissions_of_a_call_are_found_whatever_they_belong_to
                everything_known_of_a_submission_is_found
                of_a_submission_with_very_many_webhooks_a_part_is_found
                a_submission_can_be_mapped_without_claiming_it
            }
            promises! { operating<$type>:
                what_is_dead_or_ignored_is_replayed_at_once_with_nothing_spent
                what_was_delivered_is_replayed_only_where_it_is_asked_for
                what_waits_is_not_replayed
                a_submission_that_is_asked_for_twice_is_replayed_once
                the_dispatcher_is_woken_by_a_replay
                a_replay_with_the_same_payload_offers_it_byte_for_byte
                what_was_never_offered_cannot_be_replayed_with_the_same_payload
                an_answer_after_a_replay_with_the_same_payload_counts
                what_closed_a_submission_closes_it_after_a_replay
                discard_is_final
                what_was_delivered_or_is_in_flight_is_not_discarded
                a_reveal_is_recorded_and_changes_nothing_else
            }
            promises! { erasing<$type>:
                what_is_erased_leaves_only_its_id_and_its_outcome
                a_webhook_of_what_was_erased_is_purged_and_not_kept_again
                an_attempt_in_flight_settles_nothing_once_it_is_erased
                erase_is_final
                what_is_erased_is_not_found_by_its_call
            }
            promises! { retention<$type>:
                the_trusted_time_outlives_the_process
                bodies_are_purged_first_and_the_answers_stay
                then_all_but_the_outcome_is_purged_and_the_counts_stay
                then_the_outcome_too_and_a_webhook_that_comes_again_starts_a_new_submission
                what_waits_and_what_is_dead_is_kept_however_old
                what_comes_after_the_bodies_were_purged_is_purged_in_its_turn
                what_is_delivered_again_is_kept_until_that_is_old
                what_is_old_is_purged_a_few_at_a_time_and_makes_room
            }
            promises! { statistics<$type>:
                the_state_counts_count_every_state
                state_counts_change_by_exactly_the_transition
                the_list_shows_the_latest_first_and_what_was_asked_for
                the_oldest_due_time_is_that_of_the_first_attempt
                what_is_overdue_is_found_by_when_it_fell_due
                accounts_waiting_are_those_with_something_to_claim
                the_dispatcher_is_woken_by_what_may_be_due
                the_version_is_another_after_each_commit
                survey_revisions_are_recorded_where_the_rules_change
                the_newest_survey_revisions_are_kept
            }
            promises! { writing<$type>:
                a_full_queue_is_reported_at_once
                a_sender_that_hangs_up_keeps_its_place_until_its_webhook_is_kept
                webhooks_that_wait_together_are_kept_with_one_sync
                webhooks_of_one_call_that_wait_together_are_all_kept
                a_lone_webhook_never_waits_for_company
                close_keeps_what_is_queued_and_takes_nothing_more
                what_is_queued_when_a_store_is_dropped_is_kept_before_it_opens_again
                a_store_whose_writer_died_is_not_writable
                a_store_at_work_is_writable
            }
            laws! { model<$type>:
                a_store_does_what_the_model_does_and_its_counts_balance
            }
        }
    };
}

macro_rules! promises {
    ($subject:ident<$type:ty>: $($promise:ident)*) => {
        $(
            #[tokio::test]
            async fn $promise() {
                use super::*;
                if <$type>::is_available() {
                $subject::$promise(TestStore::<$type>::new()).await;
                }
            }
        )*
    };
}

macro_rules! laws {
    ($subject:ident<$type:ty>: $($law:ident)*) => {
        $(
            #[test]
            fn $law() {
                use super::*;
                if <$type>::is_available() {
                    $subject::$law::<$type>();
                }
            }
        )*
    };
}

keeps_every_promise!(on_sqlite: Sqlite);
keeps_every_promise!(on_postgres: Postgres);
keeps_every_promise!(on_serializable_postgres: Serializable);
keeps_every_promise!(on_pooled_postgres: Pooled);
