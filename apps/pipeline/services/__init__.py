"""The verbs that touch several rooms; doors and tasks call these, one call each."""
