-- What `enrich` found out about a sending address, by its number, where it has looked it up.
SELECT s.ip AS source_ip, n.looked_up_at, n.expires_at, n.outcome, n.name, n.names, n.asn, n.as_owner, n.country, n.network,
       n.listed, n.list_errors, n.provider
FROM source_name n JOIN address s ON s.id = n.source WHERE n.source = ?1
