// Package faults has no code. Its tests run replicas of the real binary under a steady load of logins, requests, refreshes and logouts,
// while one part after another fails.
package faults
