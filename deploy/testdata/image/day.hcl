# Seven seconds of traffic by both engines, against the shop beside it.
scenario "from-the-image" {
  timeline {
    baseline = "3s"
    load     = "3s"
    recovery = "1s"
  }
  traffic "script" {
    script = "browse.js"
    baseline { rate = 10 }
  }
  traffic "requests" {
    request "catalogue" {
      url = "http://127.0.0.1:9101/"
      expect { status = 200 }
    }
    baseline { rate = 10 }
  }
  steady_state {
    expect "availability" {
      that = sli.error_ratio < 0.01
      over = "2s"
    }
  }
  score { pass = 80 }
}
