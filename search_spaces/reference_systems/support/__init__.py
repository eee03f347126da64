"""What the files of reference systems share: their class, common settings, and scaling to other numbers of epochs."""
