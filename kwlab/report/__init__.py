"""What a trace shows, for people: `kwlab trace`, its tables in the terminal, its report in HTML."""
