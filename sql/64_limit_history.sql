-- What limits did to portfolios, by day: one row for each limit whose value was beyond its bound or not known.
-- run_started_at: Time at which the run started, in UTC.
-- exceeded_by: value − bound; null if the value was not known.
SELECT
    e.cutoff,
    e.portfolio,
    e.limit_name,
    e.subject,
    e.action,
    e.value,
    e.bound,
    e.value - e.bound AS exceeded_by,
    e.value_after,
    e.detail,
    e.run_id,
    r.started_at AS run_started_at,
    e.snapshot_id
FROM limit_events AS e
JOIN runs AS r USING (run_id);
