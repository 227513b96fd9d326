"""How far the present is from what the champion was trained on: references, distances, alarms that mean something."""
