"""The command `vectors`: reference numbers that any recurrent layer must reproduce."""
