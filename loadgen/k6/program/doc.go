// Package program is gameday-k6, the program in which k6 scripts run: the k6 command with an executor and an output of ours, as a child of
// package k6, and k6 as it is for everybody else. It is the one importer of k6.
package program
