"""Every verb that touches several rooms, and every background job."""
