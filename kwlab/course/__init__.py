"""The frame around the course: what works on this machine, and how far the learner is."""
