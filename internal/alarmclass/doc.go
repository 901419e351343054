// Package alarmclass holds the test that has a real Prometheus and Alertmanager produce every class of alarm on purpose,
// and looks that the report of the run calls each what it was.
package alarmclass
