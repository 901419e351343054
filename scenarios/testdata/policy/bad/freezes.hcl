freeze "peak" {
  from = "2027-01-02"
  to   = "2026-12-20"
}
freeze "peak" {
  from = "2026-12-20"
  to   = "2026-12-21"
}
freeze "" {
  from = "20.12.2026"
  to   = "tomorrow"
}
