-- Which process serves under a replica's name; NULL once it has ended in order. A process that finds another
-- one's ends.
ALTER TABLE replicas ADD COLUMN incarnation UUID;
