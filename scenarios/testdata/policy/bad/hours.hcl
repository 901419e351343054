time_zone = "CEST"
hours {
  days = ["mon-fri", "tues", "friday-sunday"]
  from = "9:00"
  to   = "25:00"
}
hours {
  from      = "24:00"
  to        = "06:00"
  time_zone = "Europe/Berln"
}
hours {
  days = []
  from = "08:00"
  to   = "08:00"
}
hours {
  from = "08:00"
}
