// Package output follows what processes print into pipes, and knows when the last words of one that has ended are there.
package output
