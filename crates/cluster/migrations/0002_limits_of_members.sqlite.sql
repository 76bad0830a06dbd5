-- Where the node counts shared limits, empty when it counts none; two nodes count together only if it is the same. A node of a
-- version that does not know of it says nothing, and is not compared.
alter table burgeon_member add column limits text not null default '';
