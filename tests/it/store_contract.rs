//! Every promise of [`Store`](postcall::store::Store) by name, kept by every backend.
//!
//! A promise is an `async fn` over any [`Backend`], a law is a property over any. Both are listed
//! once, below; a new backend is one line at the foot.

pub mod backend;
mod changing;
mod closing;
mod erasing;
mod holding;
mod intervening;
mod keeping;
mod leasing;
mod model;
mod naming;
mod order;
mod reporting;
mod retention;
mod searching;
mod seen;
mod settling;
pub mod spoken;
mod sqlite;
mod writing;

pub use backend::{Backend, Ledger, Sqlite};
pub use model::check;
pub use spoken::hook;

macro_rules! keeps_every_promise {
    ($backend:ident: $type:ty) => {
        mod $backend {
            promises! { keeping<$type>:
                a_first_hook_starts_a_submission_and_further_answers_add_to_it
                an_accepted_hook_survives_reopening
                an_accepted_hook_survives_a_sudden_end
                a_hook_is_kept_as_it_came
                the_same_key_is_the_same_submission
                two_accounts_never_touch_each_others_calls
                a_repeat_moves_nothing_and_is_not_stored_again
                what_is_new_beside_a_repeat_is_added
                a_second_answer_in_the_domain_is_counted_changed_and_changes_nothing
                an_answer_in_the_domain_counts_before_what_came_earlier
                a_submission_is_due_by_its_completion
            }
            promises! { reporting<$type>:
                all_that_a_hook_reports_is_kept
                a_sender_can_be_answered_by_all_that_is_known
                the_first_hook_that_gives_a_field_decides_it
                a_known_field_is_a_repeat_and_a_new_one_is_not
                what_only_gives_fields_is_waited_for_by_nobody
                a_hang_up_starts_a_submission
                a_hang_up_is_waited_after_for_a_short_time
                an_opt_out_completes_a_submission
                what_is_told_late_changes_nothing
                what_was_told_during_an_attempt_that_never_arrived_counts_after_all
            }
            promises! { changing<$type>:
                where_the_first_answer_counts_a_repeat_leaves_no_trace
                where_the_last_answer_counts_who_goes_back_to_the_first_has_said_something
                what_is_said_again_and_counts_already_is_a_repeat
                what_counts_otherwise_reopens_what_was_ignored
                the_last_answer_counts_until_the_submission_is_closed
                what_came_again_during_an_attempt_that_never_arrived_counts
                another_answer_after_the_delivery_is_delivered_too
                what_is_missing_is_delivered_too_when_it_comes_after_the_delivery
                what_counts_for_nothing_is_not_delivered_again
                what_changed_during_an_attempt_is_delivered_whatever_becomes_of_it
                what_changed_during_an_attempt_survives_a_sudden_end
                what_was_late_counts_once_another_answer_is_delivered
                what_is_delivered_again_is_open_until_its_attempt
                what_is_given_up_by_the_destination_is_another_offer_with_another_answer
            }
            promises! { naming<$type>:
                a_known_id_with_the_same_bytes_is_a_repeat
                a_known_id_with_other_bytes_is_refused_and_leaves_nothing
                two_sources_may_use_the_same_id
                what_is_forgotten_is_no_repeat_by_its_id
                the_oldest_ids_are_forgotten_a_few_at_a_time
            }
            laws! { order<$type>:
                the_order_in_which_hooks_are_kept_changes_nothing
            }
            promises! { leasing<$type>:
                nothing_is_leased_before_it_is_due
                what_is_due_longest_is_leased_first
                a_submission_is_never_in_two_hands
                no_account_gets_more_than_was_wanted_for_it
                a_busy_account_never_starves_another
                a_backlog_never_starves_what_came_just_now
                each_age_gets_its_share_where_one_is_wanted_at_a_time
                what_one_age_cannot_use_the_others_get
                a_lease_tells_all_that_was_said
                a_collecting_submission_becomes_pending_when_it_is_leased
                what_is_released_is_due_again
                a_release_after_the_attempt_began_changes_nothing
                a_lease_runs_out_by_the_ledgers_own_clock
                a_lost_lease_overwrites_nothing
                an_attempt_that_nobody_settled_is_an_unknown_result
                at_open_all_leases_are_void
                the_next_due_time_is_told_with_the_leases
            }
            promises! { closing<$type>:
                an_attempt_under_way_closes_a_submission
                what_came_during_an_attempt_that_never_arrived_counts_after_all
                what_came_earlier_and_was_kept_during_an_attempt_that_never_arrived_is_the_first
                what_came_during_the_last_attempt_is_another_offer
                what_came_after_one_that_may_have_arrived_stays_late
                a_late_repeat_is_a_repeat
                what_surely_did_not_arrive_leaves_a_submission_open
                what_may_have_arrived_keeps_a_submission_closed
                one_attempt_that_may_have_arrived_closes_for_good
                whoever_takes_up_what_may_have_arrived_is_told
                an_attempt_on_older_answers_does_not_begin
                a_decision_on_older_answers_is_not_written_down
                a_new_answer_reopens_what_was_ignored_or_unmapped
                a_new_answer_to_what_never_arrived_starts_afresh
                a_repeat_reopens_nothing
            }
            promises! { settling<$type>:
                what_was_delivered_is_kept_with_its_attempt
                a_retry_is_due_when_it_was_decided_and_is_spent
                what_is_dead_says_why
                what_is_ignored_may_say_why
                how_it_was_mapped_is_kept_until_it_is_mapped_again
                what_is_settled_is_never_leased_again
                settlements_answer_in_their_order
                a_settlement_survives_a_sudden_end
            }
            promises! { holding<$type>:
                a_misconfigured_account_is_held_and_nothing_is_spent
                a_held_account_gives_one_probe_at_a_time
                a_submission_that_is_never_let_in_does_not_probe_for_all_others
                a_probe_that_asked_nobody_leaves_it_to_the_next
                a_probe_that_was_given_back_leaves_it_to_the_next
                a_delivery_lifts_the_hold
                a_clock_that_was_put_back_leaves_no_account_unprobed
                what_dies_may_have_its_account_held
                the_time_an_account_was_held_is_no_age
                a_hold_survives_reopening
                a_person_holds_an_account_until_a_person_resumes_it
                a_person_may_resume_an_account_that_another_cause_holds
                a_held_account_is_probed_at_once_when_it_is_asked_for
                a_stronger_cause_takes_the_place_of_a_weaker_one_and_never_the_other_way_round
                any_answer_ends_the_hold_of_an_account_that_was_unreachable
                only_what_is_rejected_while_others_may_pass_is_counted_against_it
            }
            promises! { searching<$type>:
                pages_go_on_where_the_one_before_ended
                there_is_no_more_after_the_last
                a_cursor_is_read_as_it_was_written
                every_condition_of_a_search_has_to_hold
                the_submissions_of_a_call_are_found_whatever_they_belong_to
                all_that_is_known_of_a_submission_is_shown
                of_a_submission_with_very_many_hooks_a_part_is_shown
                what_a_submission_says_can_be_mapped_without_leasing_it
            }
            promises! { intervening<$type>:
                what_is_dead_or_ignored_is_replayed_at_once_with_nothing_spent
                what_was_accepted_is_replayed_only_where_it_is_asked_for
                what_waits_is_not_replayed
                a_submission_that_is_asked_for_twice_is_replayed_once
                the_courier_is_woken_by_a_replay
                what_is_replayed_as_it_was_is_offered_word_for_word
                what_was_never_offered_cannot_be_replayed_as_it_was
                what_is_said_after_a_replay_as_it_was_counts
                what_closed_a_submission_closes_it_after_a_replay
                what_is_given_up_stays_given_up
                what_was_delivered_or_is_under_way_is_not_given_up
            }
            promises! { erasing<$type>:
                what_is_erased_leaves_only_its_id_and_its_outcome
                a_hook_of_what_was_erased_is_gone_and_not_kept_again
                an_attempt_under_way_is_waited_for_no_more_once_it_is_erased
                what_is_erased_is_final
                what_is_erased_is_not_found_by_its_call
            }
            promises! { retention<$type>:
                bodies_are_dropped_first_and_what_was_said_stays
                then_all_but_the_outcome_is_dropped_and_the_totals_stay
                then_that_too_and_a_hook_that_comes_again_starts_anew
                what_waits_and_what_is_dead_is_kept_however_old
                what_comes_after_the_bodies_were_dropped_is_dropped_in_its_turn
                what_is_delivered_again_is_kept_until_that_is_old
                what_is_old_is_dropped_a_few_at_a_time_and_makes_room
            }
            promises! { seen<$type>:
                the_totals_count_every_state
                the_list_shows_the_latest_first_and_what_was_asked_for
                the_oldest_due_time_is_that_of_the_first_attempt
                accounts_waiting_are_those_with_something_to_lease
                the_courier_is_woken_by_what_may_be_due
            }
            promises! { writing<$type>:
                a_full_queue_is_told_at_once
                a_sender_that_hangs_up_keeps_its_place_until_its_hook_is_kept
                hooks_that_wait_together_are_kept_with_one_sync
                hooks_of_one_call_that_wait_together_are_all_kept
                a_lone_hook_never_waits_for_company
                close_keeps_what_is_queued_and_takes_nothing_more
                what_is_queued_when_a_ledger_is_dropped_is_kept_before_it_opens_again
                a_ledger_whose_writer_died_is_not_writable
                a_ledger_at_work_is_writable
            }
            laws! { model<$type>:
                a_ledger_does_what_the_model_does_and_its_books_balance
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
                $subject::$promise(Ledger::<$type>::new()).await;
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
                $subject::$law::<$type>();
            }
        )*
    };
}

keeps_every_promise!(on_sqlite: Sqlite);
