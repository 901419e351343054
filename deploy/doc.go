// Package deploy holds the tests of gameday's image and of what deploys it in a cluster.
package deploy
