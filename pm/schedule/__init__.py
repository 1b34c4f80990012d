"""Run a workspace's nights at a time of day: by systemd, cron, Task Scheduler, or a process in the foreground.

What is written for each scheduler is rendered and parsed by functions without side effects (`units`, `crontab`,
`task_xml`). Each has a module beside it that hands it to the scheduler (`systemd`, `cron`, `task_scheduler`). All of
them start the same command, `pm schedule night`, which `night` carries out.
"""
