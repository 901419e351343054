at_most {
  places  = 0
  percent = 120
}
at_most {
  places = 1
}
max_duration {
  fault = "2 days"
  run   = "-1h"
}
