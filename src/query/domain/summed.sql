-- Whether there are sums in a window of reports that are gone.
SELECT EXISTS (SELECT 1 FROM summed_report WHERE end_at >= :since AND end_at < :until) AS summed
