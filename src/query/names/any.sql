-- Whether `enrich` ever looked anything up.
SELECT EXISTS (SELECT 1 FROM source_name) AS any
