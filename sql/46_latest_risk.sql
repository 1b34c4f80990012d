-- Risk of the portfolios of the newest run: what is held by stage risk, targets (' proposed') by stage portfolio.
SELECT p.*
FROM portfolio_risk AS p
JOIN latest_run AS r ON true
JOIN run_outputs AS o ON o.run_id = r.run_id AND o.output_run_id = p.run_id
WHERE o.stage = CASE WHEN ends_with(p.portfolio, ' proposed') THEN 'portfolio' ELSE 'risk' END;
