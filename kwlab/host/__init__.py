"""What this machine's own kernel says about itself."""
